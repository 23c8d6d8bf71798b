"""What the integration scripts share: a server as a process, a ttrpc client, golden rows, reporting."""
