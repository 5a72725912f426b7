"""The old projects in ``projects/`` have tests of their own, which run when they are upgraded."""

collect_ignore = ["projects"]
