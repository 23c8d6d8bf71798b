import ArgumentParser

@main
struct Martlet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet", abstract: "Scores rows with trained models, as a server and from the shell.",
    subcommands: [Serve.self])
}
