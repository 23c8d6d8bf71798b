import ArgumentParser
import MartletClient
import MartletCore
import MartletServer

/// `martlet describe`: what a model takes and gives.
struct Describe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a model's columns, their types, and what it answers.",
    discussion: """
      Examples:
        martlet describe credit-risk
        martlet describe credit-risk --format csv      # the columns, one a line
        martlet describe credit-risk --models models   # without a server
        martlet describe credit-risk --models models --plan
        martlet describe model.onnx --plan             # how this machine scores it

      --plan loads the model into this process and measures it, as a server does at load: for each tree ensemble the \
      kind of plan for batches of 1, 8, 64 and 512 rows, its size and what it takes. MODEL is then a model file or a \
      directory of one, or a name with --models. MARTLET_PLAN=KIND shows one kind; an ensemble whose shape it does not \
      take is walked node by node.

      \(ExitStatus.table)
      """)

  @Argument(help: "The model's name; with --plan also a model file or a directory of one.")
  var model: String

  @Option(help: ArgumentHelp("The model's version; without it the one that serves.", valueName: "number"))
  var version: String?

  @Flag(help: "Show how the model is scored on this machine.")
  var plan = false

  @Option(help: "How it is written: table, json, or csv (the columns only).")
  var format = OutputFormat.table

  @OptionGroup var scorer: ScorerOptions

  func validate() throws {
    guard plan else { return }
    guard scorer.server.server.isEmpty else {
      throw ValidationError("--plan measures in this process: it goes with a file, a directory or --models.")
    }
    guard version == nil || version.flatMap(Int.init) != nil else {
      throw ValidationError("--version is \(version ?? ""), expected a number.")
    }
  }

  func run() async throws {
    if plan { return try showPlan() }
    let transport = try scorer.transport()
    let result: Result<DescribeResponse, any Error>
    do {
      result = .success(try await transport.describe(DescribeRequest(model: model, version: version ?? "")))
    } catch {
      result = .failure(error)
    }
    await transport.close()
    let description = try result.get()
    var output = OutputFile()
    switch format {
    case .json: try output.write(DescriptionText.json(description) + "\n")
    case .csv:
      try format.write(DescriptionText.columnNames, DescriptionText.columns(description, short: false), &output)
    case .table:
      try output.write(DescriptionText.summary(description) + "\n")
      try format.write(DescriptionText.columnNames, DescriptionText.columns(description, short: true), &output)
      try output.write("\n")
      try format.write(DescriptionText.outputNames, DescriptionText.outputs(description), &output)
    }
    try output.flush()
  }

  private func showPlan() throws {
    let path = scorer.models.map { $0 + "/" + model } ?? model
    let loaded = try ModelVerifier(path: path, version: version.flatMap(Int.init))
    var output = OutputFile()
    switch format {
    case .json: try output.write(PlanText.json(loaded.plan, path: loaded.path, format: loaded.format) + "\n")
    case .csv: try format.write(PlanText.columns, PlanText.rows(loaded.plan), &output)
    case .table:
      try output.write(PlanText.summary(loaded.plan, path: loaded.path, format: loaded.format) + "\n")
      if !loaded.plan.ensembles.isEmpty { try format.write(PlanText.columns, PlanText.rows(loaded.plan), &output) }
    }
    try output.flush()
  }
}
