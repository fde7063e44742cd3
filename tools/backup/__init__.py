"""Backup and restore of what a process stack keeps (docs/operations/backup-restore.md)."""
