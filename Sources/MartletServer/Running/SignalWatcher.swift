import Dispatch
import Glibc

/// Turns signals of the process into calls on a Dispatch queue; SIGPIPE is ignored, since a write to a socket whose
/// peer has gone reports EPIPE.
public final class SignalWatcher {
  private var sources: [any DispatchSourceSignal] = []
  private let queue = DispatchQueue(label: "martlet.signals")

  public init() { signal(SIGPIPE, SIG_IGN) }

  public func on(_ number: Int32, _ action: @escaping @Sendable () -> Void) {
    // The default action would end the process before the source sees the signal.
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
    source.setEventHandler(handler: action)
    source.activate()
    sources.append(source)
  }
}
