extension ServerConfiguration {
  /// Every key, in the order in which people read them.
  public static let keys: [ConfigurationKey] = [
    .addresses(
      "listen", \.listen, most: 64,
      "Addresses to answer calls on. Each speaks every protocol the server knows; the first bytes of a connection tell."
    ),
    .choice(
      "poller", \.poller,
      "How reactors learn which sockets are ready. epoll is the fast one; dispatch works wherever Dispatch does."),
    .duration(
      "spin", \.spin, .zero ... .milliseconds(100),
      "How long after the last event a reactor looks for the next without sleeping. It spares a call that comes within "
        + "that time the wake-up of a thread, and takes a core meanwhile: for cores that have nothing else to do. 0s never "
        + "spins."),
    .automaticCount(
      "reactors", \.reactors, 1...1024,
      "Threads that own connections and score what arrives. auto: the usable cores less the scorers."),
    .automaticCount(
      "scorers", \.scorers, 0...1024,
      "Threads for batches over batching.inline_budget. auto: a quarter of the usable cores, rounded down. With 0 the "
        + "reactors score large batches themselves, in pieces."),

    .optionalSocketPath(
      "takeover", \.takeover, most: ListenAddress.longestPath - 4,
      "Socket through which a server that is started with the same path takes over from the one that runs: it gets the "
        + "listening sockets, loads its models and serves, and only then the old one drains. off for none."),

    .optionalAddress(
      "admin.address", \.admin.address,
      "Plain HTTP for /metrics, /livez and /readyz; off for none."),
    .flag(
      "admin.allow_remote", \.admin.allowRemote,
      "Whether admin.address may be reachable from other machines. It has neither TLS nor a login: put a proxy in "
        + "front."),

    .path(
      "models.directory", \.models.directory,
      "Directory of NAME/VERSION/model.onnx folders; a relative path starts at the working directory."),
    .choice(
      "models.readiness", \.models.readiness,
      "When the server calls itself ready: all of the models are loaded, or any of them. A model that says "
        + "readiness: {required: true} in its model.yaml must be loaded either way."),
    .duration(
      "models.planning_time", \.models.planningTime, .zero ... .seconds(10),
      "Time that a model's tree ensembles are measured for at load, to find their fastest form. 0s measures nothing and "
        + "takes the forms that usually are. docs/plans.md"),

    .bytes(
      "rounds.connection_bytes", \.rounds.connectionBytes, 1 << 10...16 << 20,
      "Bytes that one connection may bring into one round of its reactor; the rest waits for the next round."),
    .count(
      "rounds.connection_calls", \.rounds.connectionCalls, 1...65_536,
      "Calls that one connection may bring into one round of its reactor."),

    .duration(
      "batching.inline_budget", \.batching.inlineBudget, .zero ... .seconds(1),
      "Predicted scoring time that a reactor spends in one round; larger batches go to the scorers. 0s sends all of "
        + "them there."),
    .count(
      "batching.max_rows", \.batching.maxRows, 1...1_048_576,
      "Rows of the largest batch; a larger call is split and rejoined. A model may set less in its model.yaml."),
    .count(
      "batching.max_queue_rows", \.batching.maxQueueRows, 1...16_777_216,
      "Rows that may wait for one model; further calls are refused with RESOURCE_EXHAUSTED."),

    .count(
      "batching.priority_levels", \.batching.priorityLevels, 1...64,
      "Priorities that a call may ask for; 1 is the highest. A higher one is served first while calls have to wait. "
        + "docs/scheduling.md"),
    .automaticCount(
      "batching.default_priority", \.batching.defaultPriority, 1...64,
      "The priority of calls that ask for none. auto: the middle one."),

    .count(
      "limits.max_connections", \.limits.maxConnections, 1...1_000_000,
      "Connections open at once; further ones are closed as they are accepted."),
    .count(
      "limits.max_connections_per_address", \.limits.maxConnectionsPerAddress, 1...1_000_000,
      "Connections open at once from one network address. Unix sockets count under limits.max_connections alone."),
    .count(
      "limits.calls_per_connection", \.limits.callsPerConnection, 1...1_000_000,
      "Calls in flight on one connection; further ones are refused with RESOURCE_EXHAUSTED."),
    .count(
      "limits.calls_in_flight", \.limits.callsInFlight, 1...16_777_216,
      "Calls in flight in the whole server; further ones are refused with RESOURCE_EXHAUSTED."),
    .flag(
      "limits.adaptive", \.limits.adaptive,
      "Whether a reactor takes fewer calls in flight when their latency says that more only wait longer; further ones "
        + "are refused with RESOURCE_EXHAUSTED. docs/scheduling.md"),
    .count(
      "limits.adaptive_floor", \.limits.adaptiveFloor, 1...16_777_216,
      "Calls in flight that a reactor takes whatever limits.adaptive says."),
    .count(
      "limits.rows_per_call", \.limits.rowsPerCall, 1...16_777_216,
      "Rows of one call; a call with more is refused with INVALID_ARGUMENT."),
    .bytes(
      "limits.frame_bytes", \.limits.frameBytes, 1 << 10...4 << 20,
      "Bytes of the largest message; ttrpc itself ends at 4MiB."),
    .bytes(
      "limits.write_buffer_bytes", \.limits.writeBufferBytes, 64 << 10...1 << 30,
      "Replies that may wait for a slow reader on one connection; over it the connection is closed."),
    .bytes(
      "limits.write_high_water_bytes", \.limits.writeHighWaterBytes, 4 << 10...1 << 30,
      "Waiting replies of one connection from which its further calls wait unread, until half of them are gone."),
    .bytes(
      "limits.buffer_bytes", \.limits.bufferBytes, 1 << 20...1 << 40,
      "Memory of the read and write buffers of all connections of one reactor; over it the connections with the "
        + "largest are closed."),
    .count(
      "limits.mailbox_entries", \.limits.mailboxEntries, 64...16_777_216,
      "Pieces of work from other threads (new connections, scored batches, reloads) that may wait for a reactor; "
        + "over it new connections are closed."),
    .bytes(
      "limits.message_memory_bytes", \.limits.messageMemoryBytes, 64 << 10...4 << 30,
      "Memory that decoding one call may take; a call that needs more is refused with RESOURCE_EXHAUSTED."),
    .bytes(
      "limits.request_memory_bytes", \.limits.requestMemoryBytes, 1 << 20...1 << 40,
      "Memory that the calls in flight of the whole server may take; over it calls are refused with "
        + "RESOURCE_EXHAUSTED."),
    .bytes(
      "limits.model_file_bytes", \.limits.modelFileBytes, 1 << 10...1 << 40,
      "Bytes of the largest model file that is loaded."),
    .count(
      "limits.model_changes", \.limits.modelChanges, 1...65_536,
      "Calls to load or unload a model that may wait or be under way; further ones are refused with "
        + "RESOURCE_EXHAUSTED."),

    .duration(
      "timeouts.first_byte", \.timeouts.firstByte, .milliseconds(10) ... .seconds(3600),
      "Time from accepting a connection to its first byte."),
    .duration(
      "timeouts.idle", \.timeouts.idle, .zero ... .seconds(7 * 86_400),
      "Time that a connection without calls is kept open; 0s keeps it for ever."),
    .duration(
      "timeouts.frame", \.timeouts.frame, .milliseconds(10) ... .seconds(3600),
      "Time from the first byte of a message to its last."),
    .duration(
      "timeouts.write", \.timeouts.write, .milliseconds(10) ... .seconds(3600),
      "Time that replies wait for a peer that reads nothing; then the connection is closed."),
    .duration(
      "timeouts.linger", \.timeouts.linger, .milliseconds(10) ... .seconds(3600),
      "After the last reply of a connection that the server ends, how long it waits for the peer's end."),
    .duration(
      "timeouts.accept_backoff", \.timeouts.acceptBackoff, .milliseconds(1) ... .seconds(60),
      "Pause of accepting when the system has no descriptor or memory left."),
    .duration(
      "timeouts.grace", \.timeouts.grace, .zero ... .seconds(3600),
      "After SIGTERM, how long the server goes on accepting while it says that it is not ready, so that load "
        + "balancers look elsewhere first."),
    .duration(
      "timeouts.drain", \.timeouts.drain, .zero ... .seconds(86_400),
      "After the grace, how long calls in flight and open connections may take to end."),

    .choice(
      "logging.format", \.logging.format, "Lines for people (text) or for collectors (json), on standard error."),
    .choice("logging.level", \.logging.level, "The least level that is written."),
    .count(
      "logging.lines_per_second", \.logging.linesPerSecond, 1...1_000_000,
      "Lines written in a second; a line says how many more there were. Warnings and errors that repeat count too."),
  ]

  /// What the sections are about, in the order of the keys.
  static let sections: [(name: String, documentation: String)] = [
    ("admin", "The HTTP endpoint for metrics and probes."),
    ("models", "What is served; see model.yaml beside a model for what is set for it alone."),
    ("rounds", "Fairness between connections: what one of them gets of a round."),
    ("batching", "How rows become batches."),
    ("limits", "Bounds; whatever is over one is refused, never queued without end."),
    ("timeouts", "How long the server waits."),
    ("logging", "What is written about the server's own doings."),
  ]
}
