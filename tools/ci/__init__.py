"""What the workflows of GitHub and GitLab call: comments on changes, issues on drift, releases (docs/ci.md)."""
