"""What works around the Pulumi program: native programs, the command line, the inbox."""
