import Dispatch
import Logging
import MartletCore
import MartletEngine
import MartletRepository
import MartletServices

extension Server {
  /// Reads the configuration again, takes over what may change at run time and reads the model repository again.
  ///
  /// A configuration that is wrong changes nothing, and one line says why. Any thread; not twice at the same time.
  ///
  /// - Parameters:
  ///   - applied: told of the configuration that holds from now on.
  ///   - done: called when the models serve, on any thread.
  public func reload(
    from source: ConfigurationSource, applied: @Sendable (ServerConfiguration) -> Void,
    done: @escaping @Sendable () -> Void
  ) {
    notifier?.reloading()
    do throws(ConfigurationError) {
      let reload = try configuration.reloaded(from: try source.load())
      if !reload.changed.isEmpty {
        apply(reload.configuration)
        applied(reload.configuration)
        logger.notice(
          "configuration changed", metadata: ["keys": "\(reload.configuration.listed(reload.changed))"])
      }
      if !reload.waiting.isEmpty {
        logger.warning(
          "configuration keys that need a restart keep their values",
          metadata: ["keys": "\(reload.configuration.listed(reload.waiting))"])
      }
    } catch {
      logger.error("configuration refused, nothing was changed", metadata: ["reason": "\(error)"])
      notifier?.ready(status: "configuration refused; \(serving)")
      return done()
    }
    repository.reload { [self] result in
      if case .success = result {
        logger.info("models reloaded", metadata: ["versions": "\(repository.catalogue.models.count)"])
      }
      notifier?.ready(status: serving)
      done()
    }
  }

  private var serving: String { "serving \(repository.catalogue.models.count) model versions" }

  private func apply(_ configuration: ServerConfiguration) {
    settings.withLock { $0 = configuration }
    repository.apply(ModelRepository.Options(configuration))
    state.apply(configuration.models.policy)
    let limits = ReactorStack.Limits(configuration, reactors: stacks.count)
    limiter.apply(limits.sockets)
    for stack in stacks { stack.apply(limits) }
  }
}

extension ModelRepository.Options {
  init(_ configuration: ServerConfiguration) {
    self.init(
      directory: configuration.models.directory, modelFileBytes: configuration.limits.modelFileBytes,
      pendingChanges: configuration.limits.modelChanges,
      planning: PlanningOptions(measuringNanoseconds: configuration.models.planningTime.wholeNanoseconds))
  }
}

extension ServerConfiguration.Models {
  var policy: ServerState.ReadinessPolicy { readiness == .all ? .all : .any }
}

/// Reads a server's configuration and models again, as often as it is asked to; requests that come during a reload are
/// served by one more. Any thread.
public final class Reloader: Sendable {
  private let server: Server
  private let source: ConfigurationSource
  private let applied: @Sendable (ServerConfiguration) -> Void
  private let queue = DispatchQueue(label: "martlet.reload", qos: .utility)

  /// - Parameter applied: told of each configuration that holds from then on.
  public init(
    _ server: Server, source: ConfigurationSource, applied: @escaping @Sendable (ServerConfiguration) -> Void
  ) {
    self.server = server
    self.source = source
    self.applied = applied
  }

  public func request() {
    server.reloads.ask { [self] done in
      queue.async { [self] in server.reload(from: source, applied: applied, done: done) }
    }
  }
}
