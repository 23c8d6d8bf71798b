import ArgumentParser
import Glibc
import MartletClient
import MartletCore

/// `martlet score`: rows in, predictions out.
struct Score: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Score rows with a model, on a server or in this process.",
    discussion: """
      Rows come from a file, from standard input (-), or from --row. A CSV's first line names the columns; JSON lines \
      are one object a line. Results keep the order of the rows; a file of any length is scored in constant memory.

      Examples:
        martlet score wine --row '{"alcohol": 12.5, "colour": "red"}'
        martlet score wine wines.csv --keep id --format csv > scored.csv
        zcat wines.jsonl.gz | martlet score wine - --format json
        martlet score wine wines.csv --models models
        martlet score wine wines.csv --on-error skip --rejects bad.csv

      A row that cannot be scored ends the run (--on-error stop), after the rows before it were written; with \
      --on-error skip the other rows are scored, and the exit code is 1 when any was rejected.

      \(ExitStatus.table)
      """)

  enum ErrorPolicy: String, ExpressibleByArgument, CaseIterable {
    case stop
    case skip
  }

  @Argument(help: "The model's name.")
  var model: String

  @Argument(help: "A CSV file, a file of JSON lines, or - for standard input.", completion: .file())
  var input: String?

  @Option(
    name: .customLong("row"), help: ArgumentHelp("A row as a JSON object; repeatable.", valueName: "json"))
  var rows: [String] = []

  @Option(help: "What the input is: csv or jsonl. By the file's ending, else by its first byte.")
  var inputFormat: RowReader.Format?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Text of a CSV's field that means that there is no value; repeatable. Empty fields, unless it is given.",
      valueName: "text"))
  var missing: [String] = []

  @Option(help: ArgumentHelp("An input column that the output repeats; repeatable.", valueName: "column"))
  var keep: [String] = []

  @Option(help: ArgumentHelp("The model's version; without it the one that serves.", valueName: "number"))
  var version: String?

  @Flag(help: "Pass over input columns that are no features of the model.")
  var ignoreExtra = false

  @Option(help: "What a row that cannot be scored does: end the run (stop), or be left out (skip).")
  var onError = ErrorPolicy.stop

  @Option(
    help: ArgumentHelp("With --on-error skip: write rejected rows to this CSV file, with reasons.", valueName: "file"),
    completion: .file())
  var rejects: String?

  @Flag(help: "Add a column with each prediction's number, by which outcomes are reported later.")
  var predictionIds = false

  @Option(help: ArgumentHelp("Rows that are sent in one call.", valueName: "rows"))
  var batchRows = 1024

  @Option(
    help: ArgumentHelp(
      "Priority of the calls, 1 the highest; the server's default, unless it is given.", valueName: "number"))
  var priority: Int?

  @Option(help: "How results are written: table, json (one object a line) or csv.")
  var format = OutputFormat.table

  @OptionGroup var scorer: ScorerOptions

  func validate() throws {
    guard rows.isEmpty || input == nil else {
      throw ValidationError("--row and an input file exclude each other.")
    }
    guard rejects == nil || onError == .skip else {
      throw ValidationError("--rejects goes with --on-error skip.")
    }
    guard (1...65_536).contains(batchRows) else {
      throw ValidationError("--batch-rows is \(batchRows), expected 1 to 65536.")
    }
    guard priority.map({ (1...65_536).contains($0) }) ?? true else {
      throw ValidationError("--priority is \(priority ?? 0), expected 1 to 65536.")
    }
    guard Set(keep).count == keep.count else { throw ValidationError("--keep names a column twice.") }
  }

  func run() async throws {
    var descriptor: Int32 = -1
    defer { if descriptor > STDERR_FILENO { close(descriptor) } }
    let source = try open(&descriptor)
    let transport = try scorer.transport()
    let result: Result<ScorePipeline.Summary, any Error>
    do {
      result = .success(try await score(source, transport))
    } catch {
      result = .failure(error)
    }
    await transport.close()
    let summary = try result.get()
    guard summary.rejected > 0 else { return }
    throw Failure(
      .negative, "\(summary.rejected) of \(summary.scored + summary.rejected) rows were rejected",
      hint: rejects == nil ? "--rejects FILE writes them with the reasons" : nil)
  }

  private func score(_ source: ByteSource, _ transport: any ScoreTransport) async throws -> ScorePipeline.Summary {
    let description = try await transport.describe(DescribeRequest(model: model, version: version ?? ""))
    let reader = try RowReader(source, format: rows.isEmpty ? inputFormat ?? formatByName : .jsonl)
    // The version is named from here on, so that all rows are scored by one.
    var builder = RequestBuilder(
      description, version: description.version, missing: missing.isEmpty ? [""] : missing, passedOver: Set(keep),
      ignoreExtra: ignoreExtra, priority: priority ?? 0)
    if reader.format == .csv {
      do throws(InputError) {
        try builder.check(columns: reader.columns)
      } catch {
        throw Failure(
          error,
          hint: "martlet describe \(model) lists the columns; --ignore-extra passes over others, --keep repeats them")
      }
      if let absent = keep.first(where: { !reader.columns.contains($0) }) {
        throw Failure(.usage, "--keep names column \"\(absent)\", which the input does not have")
      }
    }
    var rejectFile: RejectFile?
    if let rejects { rejectFile = try RejectFile(creating: rejects) }
    let options = ScorePipeline.Options(
      rowsPerBatch: batchRows, keep: keep, showsPredictions: predictionIds, stopsAtFirst: onError == .stop)
    var pipeline = ScorePipeline(
      reader, builder, transport, options: options, writer: format.makeWriter(), output: OutputFile(),
      rejects: rejectFile, progress: ProgressLine(isShown: ProgressLine.isUseful))
    return try await pipeline.run()
  }

  /// Opens the input; `descriptor` is to be closed when it is above the standard ones.
  private func open(_ descriptor: inout Int32) throws -> ByteSource {
    if !rows.isEmpty { return ByteSource(Array(rows.map(Self.oneLine).joined(separator: "\n").utf8)) }
    guard let path = input, path != "-" else {
      guard input == "-" || isatty(STDIN_FILENO) == 0 else {
        throw Failure(.usage, "there are no rows", hint: "name a file, - for standard input, or --row JSON")
      }
      return ByteSource(descriptor: STDIN_FILENO)
    }
    descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(.usage, "\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    return ByteSource(descriptor: descriptor)
  }

  /// A row's JSON on one line: line ends are space in JSON, outside and inside of texts.
  private static func oneLine(_ row: String) -> String {
    String(String.UnicodeScalarView(row.unicodeScalars.map { $0 == "\n" || $0 == "\r" ? " " : $0 }))
  }

  private var formatByName: RowReader.Format? {
    guard let input else { return nil }
    if input.hasSuffix(".csv") { return .csv }
    return [".jsonl", ".ndjson"].contains(where: input.hasSuffix) ? .jsonl : nil
  }
}

extension RowReader.Format: ExpressibleByArgument {}
