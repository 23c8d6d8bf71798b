import ArgumentParser
import MartletClient
import MartletCore

/// `martlet describe`: what a model takes and gives.
struct Describe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a model's columns, their types, and what it answers.",
    discussion: """
      Examples:
        martlet describe credit-risk
        martlet describe credit-risk --format csv      # the columns, one a line
        martlet describe credit-risk --models models   # without a server

      \(ExitStatus.table)
      """)

  @Argument(help: "The model's name.")
  var model: String

  @Option(help: ArgumentHelp("The model's version; without it the one that serves.", valueName: "number"))
  var version: String?

  @Option(help: "How it is written: table, json, or csv (the columns only).")
  var format = OutputFormat.table

  @OptionGroup var scorer: ScorerOptions

  func run() async throws {
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
}
