import ArgumentParser
import Glibc
import MartletClient

/// Which server is called, and how patiently.
struct ServerOptions: ParsableArguments {
  static let defaultURL = "ttrpc://127.0.0.1:8001"

  @Option(
    help: ArgumentHelp(
      """
      The server to call, ttrpc://HOST:PORT or ttrpc+unix:PATH; several share the calls (repeat it, or separate them \
      with commas). Without it the environment's MARTLET_SERVER, then \(ServerOptions.defaultURL).
      """, valueName: "url"))
  var server: [String] = []

  @Option(help: ArgumentHelp("How long a call may take, 250ms or 5s for example.", valueName: "duration"))
  var timeout = DurationArgument(.seconds(10))

  /// The servers by flag, environment or default, in this order.
  func urls() throws(ClientError) -> [ServerURL] {
    var texts = server
    if texts.isEmpty {
      texts = [
        getenv("MARTLET_SERVER").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? Self.defaultURL
      ]
    }
    var urls: [ServerURL] = []
    for text in texts { urls += try ServerURL.list(text) }
    return urls
  }

  /// A client of those servers.
  func client(_ adjust: (inout ClientConfiguration) -> Void = { _ in }) throws(ClientError) -> MartletClient {
    var configuration = ClientConfiguration()
    configuration.timeout = timeout.duration
    adjust(&configuration)
    return try MartletClient(servers: urls(), configuration: configuration)
  }
}
