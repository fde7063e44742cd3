"""What a change means: two revisions' rendered files, compared in domain terms."""
