import MartletCore
import Testing

@testable import MartletServer

/// The descriptors themselves, and what is done with them, are tested with real processes
/// (Tests/Integration/socket_activation): here they belong to the test runner.
@Suite("Sockets from a service manager")
struct ActivatedSocketsTests {
  @Test("without variables, with those of another process, and with a count of 0 there are none")
  func none() throws {
    for environment in [
      [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "7"], ["LISTEN_PID": "8", "LISTEN_FDS": "1"],
      ["LISTEN_PID": "8", "LISTEN_FDS": "rubbish"], ["LISTEN_PID": "7", "LISTEN_FDS": "0"],
    ] {
      #expect(try ActivatedSockets.sockets(environment: environment, process: 7).isEmpty)
    }
  }

  @Test("numbers that are none, or too many, are refused with the variable's name")
  func wrong() {
    for (variable, environment) in [
      ("LISTEN_PID", ["LISTEN_PID": "x", "LISTEN_FDS": "1"]), ("LISTEN_PID", ["LISTEN_PID": "-7", "LISTEN_FDS": "1"]),
      ("LISTEN_FDS", ["LISTEN_PID": "7", "LISTEN_FDS": ""]), ("LISTEN_FDS", ["LISTEN_PID": "7", "LISTEN_FDS": "-1"]),
      ("LISTEN_FDS", ["LISTEN_PID": "7", "LISTEN_FDS": "65"]),
    ] {
      let error = #expect(throws: Status.self) {
        try ActivatedSockets.sockets(environment: environment, process: 7)
      }
      #expect(error?.message.hasPrefix("\(variable): got ") == true)
    }
  }
}
