"""Where a run's results go: assets, tables and the commit, each safe to be written twice."""
