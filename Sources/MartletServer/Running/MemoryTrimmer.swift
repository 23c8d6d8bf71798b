import CLinux
import Dispatch

/// Gives the memory that malloc holds free back to the system, every ten seconds as long as this lives.
///
/// Without that, resident memory stays where the largest calls and loads of models have brought each of malloc's arenas,
/// one after the other. It costs a call to the kernel for each free piece; steady calls allocate nothing, so that they
/// neither wait for it nor miss what it gave back.
///
/// Nor is there an arena for each thread that ever was, up to eight a core, as malloc would have it: Dispatch's workers
/// come and go, and the end of an arena is free memory that malloc gives back from 96 KiB on only. There are enough for
/// each thread that scores and the loader, so that they need not wait for each other; threads that come when all are
/// taken share.
public final class MemoryTrimmer {
  private let timer: any DispatchSourceTimer

  /// Arenas besides those of the threads that score: the main one, the loader's and two for all others.
  private static let furtherArenas = 4

  /// Before the threads are there: an arena stays with those that have it.
  ///
  /// - Parameter scoringThreads: reactors and scorers.
  public init(scoringThreads: Int, every interval: DispatchTimeInterval = .seconds(10)) {
    martlet_bound_free_memory(Int32(scoringThreads + Self.furtherArenas))
    timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "martlet.memory", qos: .utility))
    timer.schedule(deadline: .now() + interval, repeating: interval, leeway: .milliseconds(100))
    timer.setEventHandler { martlet_trim_memory() }
    timer.activate()
  }

  deinit { timer.cancel() }
}
