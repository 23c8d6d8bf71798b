import ArgumentParser
import MartletClient

/// `martlet health`: whether a server, or one of its models, serves.
struct Health: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ask whether a server, or one of its models, serves.",
    discussion: """
      Made for probes: one attempt, exit code 0 when it serves and 1 when it does not.

      Examples:
        martlet health
        martlet health --model credit-risk --server ttrpc+unix:/run/martlet.sock --timeout 1s

      \(ExitStatus.table)
      """)

  @Option(help: ArgumentHelp("Ask for this model instead of the server as a whole.", valueName: "name"))
  var model: String?

  @Option(help: "How it is written: table, json or csv.")
  var format = OutputFormat.table

  @OptionGroup var server: ServerOptions

  func run() async throws {
    let client = try server.client { $0.retry = .none }
    let result: Result<ServingStatus, any Error>
    do {
      result = .success(try await client.health(service: model ?? ""))
    } catch {
      result = .failure(error)
    }
    await client.close()
    let status = try result.get()
    var output = OutputFile()
    switch format {
    case .table: try output.write(status.name + "\n")
    case .json: try output.write(JSONText.object([("status", JSONText.string(status.name))]) + "\n")
    case .csv: try output.write("status\n\(status.name)\n")
    }
    try output.flush()
    guard status == .serving else {
      throw Failure(
        .negative, (model.map { "model \"\($0)\"" } ?? "the server") + " does not serve: \(status.name)",
        hint: "martlet models says what is not ready and why")
    }
  }
}
