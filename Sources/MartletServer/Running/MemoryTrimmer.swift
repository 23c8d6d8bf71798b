import CLinux
import Dispatch

/// Gives the memory that malloc holds free back to the system, every ten seconds as long as this lives.
///
/// Without that, resident memory stays where the largest calls and loads of models have brought each of malloc's arenas,
/// one after the other. It costs a call to the kernel for each free piece; steady calls allocate nothing, so that they
/// neither wait for it nor miss what it gave back.
public final class MemoryTrimmer {
  private let timer: any DispatchSourceTimer

  public init(every interval: DispatchTimeInterval = .seconds(10)) {
    martlet_bound_free_memory()
    timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "martlet.memory", qos: .utility))
    timer.schedule(deadline: .now() + interval, repeating: interval, leeway: .milliseconds(100))
    timer.setEventHandler { martlet_trim_memory() }
    timer.activate()
  }

  deinit { timer.cancel() }
}
