import Glibc
import Logging
import MartletCore
import Testing

@testable import MartletServer

@Suite("What keeps a server from starting")
struct StartFailureTests {
  @Test("a reactor without a descriptor for its poller is reported, with its name and why")
  func reactor() async {
    // In a process of its own, because a limit holds for all of it.
    await #expect(processExitsWith: .success) {
      var limit = rlimit()
      let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      guard getrlimit(kind, &limit) == 0 else { exit(2) }
      let usual = limit.rlim_cur
      let free = dup(0)
      close(free)
      limit.rlim_cur = rlim_t(free)
      guard free > 0, setrlimit(kind, &limit) == 0 else { exit(3) }
      var configuration = ServerConfiguration()
      configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
      configuration.admin.address = nil
      configuration.reactors = 1
      configuration.scorers = 0
      let server = Server(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      // What remains of a start has descriptors again.
      limit.rlim_cur = usual
      guard setrlimit(kind, &limit) == 0 else { exit(4) }
      do {
        try await server.start()
        exit(5)
      } catch let status as Status {
        let expected = "cannot start martlet-rx-0: epoll: Too many open files"
        guard status.code == .resourceExhausted, status.message == expected else { exit(6) }
      } catch {
        exit(7)
      }
    }
  }
}
