"""What the tests share: one table of filesystems, one of file shapes, one of doors, and the looks they take."""
