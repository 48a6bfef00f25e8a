"""asrctl: the host's command for the person who runs it. Talks to the agent over its unix socket."""
