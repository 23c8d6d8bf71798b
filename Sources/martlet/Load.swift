import ArgumentParser
import Dispatch
import Glibc
import MartletClient
import MartletLoad

/// `martlet load`: how a server behaves under load.
struct Load: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Put a server under load and report its latency.",
    discussion: """
      Open loop (--rate): calls leave at their time, whatever the server does, and latency counts from that time; \
      nothing is omitted when the server stalls. Closed loop (--concurrency): so many calls are always in flight. \
      Rows come from a file, or are drawn from the model's description. The floor printed beside the result is the \
      same load against Scoring.Null of the same server, measured before.

      Run it on a core of its own: sending on time needs one. A run is INVALID when more than 1 % of an open loop's \
      calls left more than 100 µs late.

      Examples:
        martlet load credit-risk --rate 1000 --duration 30s
        martlet load credit-risk --rows applicants.csv --concurrency 64 --connections 8
        martlet load credit-risk --rate 5000 --slo p99=2ms,errors=0.1% --json report.json
        martlet load --method null --request-bytes 400 --response-bytes 80 --concurrency 1

      With --slo the exit code is 1 when a bound is missed or the run is invalid.

      \(ExitStatus.table)
      """)

  enum Method: String, ExpressibleByArgument, CaseIterable {
    case score
    case null
  }

  @Argument(help: "The model's name; not with --method null.")
  var model: String?

  @Option(help: ArgumentHelp("The model's version; without it the one that serves.", valueName: "number"))
  var version: String?

  @Option(help: "What is called: score, or null (answers bytes and scores nothing).")
  var method = Method.score

  @Option(help: ArgumentHelp("Open loop: calls a second.", valueName: "calls"))
  var rate: Double?

  @Option(help: "How an open loop's calls are spread: poisson or constant.")
  var arrivals = LoadSchedule.Arrivals.poisson

  @Option(
    help: ArgumentHelp("Closed loop: calls in flight, 8 without --rate; over all connections.", valueName: "calls"))
  var concurrency: Int?

  @Option(help: ArgumentHelp("Connections that the calls go over in turn.", valueName: "count"))
  var connections = 8

  @Option(
    help: ArgumentHelp(
      """
      Most calls in flight of an open loop, \(LoadPlan.defaultInFlightPerConnection) a connection without it; \
      further ones leave late and count from their time.
      """, valueName: "calls"))
  var inFlight: Int?

  @Option(help: ArgumentHelp("Threads that send.", valueName: "count"))
  var threads = 1

  @Option(help: ArgumentHelp("Length of the measurement.", valueName: "duration"))
  var duration = DurationArgument(.seconds(10))

  @Option(help: ArgumentHelp("Time of the same load before it that is not counted.", valueName: "duration"))
  var warmup = DurationArgument(.seconds(1))

  @Flag(help: "Measure from the first call on.")
  var noWarmup = false

  @Flag(help: "Do not measure the floor.")
  var noFloor = false

  @Option(
    help: ArgumentHelp(
      "Rows to send: a CSV whose first line names the columns, JSON lines, or - for standard input.",
      valueName: "file"), completion: .file())
  var rows: String?

  @Flag(help: "Pass over columns of --rows that are no features of the model.")
  var ignoreExtra = false

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Text of a CSV's field that means that there is no value; repeatable. Empty fields, unless it is given.",
      valueName: "text"))
  var missing: [String] = []

  @Option(help: ArgumentHelp("Rows of a call.", valueName: "rows"))
  var batch = 1

  @Option(help: ArgumentHelp("Decides the schedule and the rows that are drawn.", valueName: "number"))
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("With --method null: bytes of a request's payload.", valueName: "bytes"))
  var requestBytes = 400

  @Option(help: ArgumentHelp("With --method null: bytes of an answer's payload.", valueName: "bytes"))
  var responseBytes = 80

  @Option(
    help: ArgumentHelp(
      "What must hold: pNN, mean and max at most a duration, errors at most a share.", valueName: "bounds"))
  var slo: String?

  @Option(
    help: ArgumentHelp(
      "Write the report as JSON to this file; - is standard output, the summary then goes to standard error.",
      valueName: "file"), completion: .file())
  var json: String?

  @OptionGroup var server: ServerOptions

  func validate() throws {
    guard rate == nil || concurrency == nil else {
      throw ValidationError("--rate (open loop) and --concurrency (closed loop) exclude each other.")
    }
    guard inFlight == nil || rate != nil else { throw ValidationError("--in-flight goes with --rate.") }
    switch method {
    case .score:
      guard model != nil else { throw ValidationError("Name a model, or use --method null.") }
    case .null:
      guard model == nil, rows == nil else {
        throw ValidationError("--method null calls no model and sends no rows.")
      }
    }
    guard (1...65_536).contains(batch) else { throw ValidationError("--batch is \(batch), expected 1 to 65536.") }
    for (name, bytes) in [("request", requestBytes), ("response", responseBytes)] {
      guard (0...4_000_000).contains(bytes) else {
        throw ValidationError("--\(name)-bytes is \(bytes), expected 0 to 4000000.")
      }
    }
    if let complaint = plan.complaint { throw ValidationError(complaint + ".") }
    _ = try objective()
  }

  private var plan: LoadPlan {
    LoadPlan(
      pace: rate.map { .open(rate: $0, arrivals: arrivals) } ?? .closed(concurrency: concurrency ?? 8),
      connections: connections, maximumInFlight: inFlight, duration: duration.duration,
      warmup: noWarmup ? .zero : warmup.duration, timeout: server.timeout.duration, seed: seed, threads: threads)
  }

  private func objective() throws -> ServiceLevelObjective? {
    do throws(ServiceLevelObjective.SyntaxError) {
      return try slo.map { text throws(ServiceLevelObjective.SyntaxError) in try ServiceLevelObjective(text) }
    } catch {
      throw ValidationError("--slo: \(error.description).")
    }
  }

  func run() async throws {
    let urls = try server.urls()
    guard urls.count == 1, let url = urls.first else {
      throw Failure(.usage, "\(urls.count) servers are named", hint: "load measures one: name it with --server")
    }
    // Tried before the run, so that a file that cannot be written does not cost one.
    if let json, json != "-" { _ = try OutputFile(creating: json) }
    let run = LoadRun(server: url, plan: plan, objective: try objective(), measuresFloor: !noFloor)
    let progress = LoadProgress()
    let requests = method == .score ? try await self.requests() : []
    let interrupt = Self.stopOnInterrupt(progress)
    let live = LoadLiveLine(progress)
    let result: Result<LoadReport, ClientError>
    do throws(ClientError) {
      switch method {
      case .score: result = .success(try await run.score(requests, progress: progress))
      case .null:
        result = .success(
          try await run.null(requestBytes: requestBytes, responseBytes: responseBytes, progress: progress))
      }
    } catch {
      result = .failure(error)
    }
    await live.finish()
    interrupt.cancel()
    let report = try result.get()
    var output = OutputFile()
    switch json {
    case "-":
      // The summary is for people then, and standard output for the next program.
      LoadLiveLine.write(report.text)
      try output.write(report.json + "\n")
    case let path?:
      var file = try OutputFile(creating: path)
      try file.write(report.json + "\n")
      try file.flush()
      fallthrough
    case nil: try output.write(report.text)
    }
    try output.flush()
    try judge(report)
  }

  private func judge(_ report: LoadReport) throws {
    guard slo != nil else { return }
    let missed = report.verdicts.filter { !$0.isKept }.map(\.bound.measure.name)
    guard missed.isEmpty else {
      throw Failure(.negative, "the objective is missed: \(missed.joined(separator: ", "))")
    }
    guard report.isValid else {
      throw Failure(
        .negative, "the run is invalid, so it cannot show that the objective is kept",
        hint: "a lower --rate, or a core of its own for the harness")
    }
  }

  // MARK: Rows

  /// Calls that take turns: from the file, or so many drawn ones.
  private func requests() async throws -> [ScoreRequest] {
    let client = try server.client()
    let result: Result<DescribeResponse, ClientError>
    do throws(ClientError) {
      result = .success(try await client.describe(model ?? "", version: version ?? ""))
    } catch {
      result = .failure(error)
    }
    await client.close()
    let description = try result.get()
    guard let rows else {
      var generator = RowGenerator(description, seed: seed)
      // A thousand different calls, fewer of large ones.
      return (0..<max(1, min(1_000, 100_000 / batch))).map { _ in generator.request(rows: batch) }
    }
    let builder = RequestBuilder(
      description, version: description.version, missing: missing.isEmpty ? [""] : missing, ignoreExtra: ignoreExtra)
    return try LoadRows(path: rows, batch: batch).requests(builder)
  }

  /// The first interrupt ends the run early, with its report; the second ends the process.
  private static func stopOnInterrupt(_ progress: LoadProgress) -> any DispatchSourceSignal {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler {
      signal(SIGINT, SIG_DFL)
      progress.stop()
    }
    source.resume()
    return source
  }
}

extension LoadSchedule.Arrivals: ExpressibleByArgument {}
