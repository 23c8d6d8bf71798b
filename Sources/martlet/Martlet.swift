import ArgumentParser

/// The command's root: its subcommands, and what they have in common.
struct Martlet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "Scores rows with trained models, as a server and from the shell.",
    discussion: """
      Start a server, look at its models, score a row:

        martlet serve --models models
        martlet models
        martlet describe credit-risk
        martlet score credit-risk applicants.csv --format csv
        martlet load credit-risk --rate 1000

      \(ExitStatus.table)

      Shell completions: martlet --generate-completion-script bash (or zsh, fish).
      """,
    subcommands: [
      Serve.self,
      Score.self,
      Models.self,
      Describe.self,
      Health.self,
      Load.self,
      Verify.self,
      VersionCommand.self,
    ])
}

@main
enum Main {
  static func main() async {
    do {
      var command = try Martlet.parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      Failure.report(error)
    }
  }
}
