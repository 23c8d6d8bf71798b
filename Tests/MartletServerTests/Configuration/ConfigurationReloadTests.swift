import Logging
import MartletRepository
import Testing

@testable import MartletServer

@Suite("Reload of the configuration")
struct ConfigurationReloadTests {
  @Test("every key that may change exists, and none that is built in at start is among them")
  func keys() {
    let known = Set(ServerConfiguration.keys.map(\.path))
    #expect(ServerConfiguration.reloadable.subtracting(known).isEmpty)
    for path in ["listen", "reactors", "scorers", "poller", "takeover", "limits.max_connections"] {
      #expect(!ServerConfiguration.reloadable.contains(path))
    }
  }

  @Test("what may change is taken over, what may not is named and stays")
  func partial() throws {
    let old = ServerConfiguration()
    var new = old
    new.limits.rowsPerCall = 7
    new.timeouts.idle = .seconds(1)
    new.reactors = 9
    new.listen = [.tcp(host: "127.0.0.1", port: 1)]
    let reload = try old.reloaded(from: new)
    #expect(reload.changed == ["limits.rows_per_call", "timeouts.idle"])
    #expect(reload.waiting == ["listen", "reactors"])
    #expect(reload.configuration.limits.rowsPerCall == 7)
    #expect(reload.configuration.timeouts.idle == .seconds(1))
    #expect(reload.configuration.reactors == nil)
    #expect(reload.configuration.listen == old.listen)
    #expect(reload.configuration.listed(reload.changed) == "limits.rows_per_call=7 timeouts.idle=1s")
    let again = try reload.configuration.reloaded(from: new)
    #expect(again.changed.isEmpty)
    #expect(again.waiting == ["listen", "reactors"])
  }

  @Test("a change that does not fit a key that stays is refused as a whole")
  func together() {
    var old = ServerConfiguration()
    old.limits.writeBufferBytes = 4 << 20
    var new = old
    new.limits.writeBufferBytes = 1 << 20
    #expect(throws: ConfigurationError.self) { try old.reloaded(from: new) }
  }

  @Test("loggers that exist follow the level and the format")
  func logging() throws {
    let pipe = try #require(LogPipe())
    var settings = ServerConfiguration.Logging()
    let logging = ServerLogging(settings, descriptor: pipe.input)
    let logger = logging.logger(label: "test")
    var own = logger
    own.logLevel = .trace
    logger.debug("hidden")
    own.debug("own")
    settings.level = .debug
    settings.format = .json
    logging.flush()
    logging.apply(settings)
    logger.debug("shown")
    logging.flush()
    let text = pipe.read()
    #expect(!text.contains("hidden"))
    #expect(text.contains("test: own"))
    #expect(text.contains("\"message\":\"shown\""))
    #expect(logger.logLevel == .debug)
  }
}
