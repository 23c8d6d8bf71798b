import ArgumentParser
import Glibc
import MartletClient
import MartletCore

/// Why the command ends without having done what was asked: what is wrong, and what to try next.
struct Failure: Error, Sendable, Equatable {
  var status: ExitStatus
  var message: String
  /// The next step to try.
  var hint: String?

  init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
    self.status = status
    self.message = message
    self.hint = hint
  }

  /// A call that failed.
  init(_ error: ClientError) {
    let status: ExitStatus =
      switch (error.code, error.origin) {
      case (.deadlineExceeded, _), (_, .connection): .unreachable
      case (_, .server): .refused
      case (.invalidArgument, .client), (.unimplemented, .client): .usage
      case (_, .client): .failed
      }
    let hint: String? =
      switch (error.code, error.origin) {
      case (.unavailable, .connection):
        "is the server running (martlet serve --models DIR)? name another with --server URL or MARTLET_SERVER"
      case (.deadlineExceeded, _): "--timeout says how long a call may take"
      case (.notFound, .server): "martlet models lists the models of the server"
      case (.unavailable, .server): "martlet models says what is not ready and why"
      case (.resourceExhausted, .server): "the server is busy: try again later"
      default: nil
      }
    self.init(status, error.description, hint: hint)
  }

  init(_ error: InputError, hint: String? = nil) {
    self.init(.usage, error.description, hint: hint)
  }

  /// Says on standard error what went wrong and ends the process; help that was asked for goes to standard output.
  static func report(_ error: any Error) -> Never {
    let failure: Failure
    switch error {
    case let known as Failure: failure = known
    case let call as ClientError: failure = Failure(call)
    case let input as InputError: failure = Failure(input)
    case let status as Status: failure = Failure(.failed, status.description)
    default:
      // The parser's own: help, completions, wrong use, or an exit code that a command has chosen.
      let code = Martlet.exitCode(for: error)
      let text = Martlet.fullMessage(for: error)
      if !text.isEmpty { write(text + "\n", to: code == .success ? STDOUT_FILENO : STDERR_FILENO) }
      exit(code == .validationFailure ? ExitStatus.usage.rawValue : code.rawValue)
    }
    write(failure.text, to: STDERR_FILENO)
    exit(failure.status.rawValue)
  }

  var text: String {
    "martlet: \(message)\n" + (hint.map { "  try: \($0)\n" } ?? "")
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }
}
