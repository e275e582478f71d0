"""The subcommands of `pneumo`. What one needs is imported only when it runs, so that --help is quick."""
