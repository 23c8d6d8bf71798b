import Glibc
import Synchronization

/// Ends the process when one stream takes longer than a second.
final class Watchdog: Sendable {
  private static let limitNanoseconds: UInt64 = 1_000_000_000
  static let exitCode: Int32 = 3

  /// When the stream began that runs now; 0 between streams.
  private let began = Atomic<UInt64>(0)
  private let stream = Atomic<Int>(0)
  private let slowest = Atomic<UInt64>(0)
  private let slowestStream = Atomic<Int>(0)

  func start() {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    pthread_create(&thread, nil, watchdogMain, context)
    pthread_detach(thread)
  }

  func enter(_ number: Int) {
    stream.store(number, ordering: .relaxed)
    began.store(Self.now(), ordering: .releasing)
  }

  func leave() {
    let took = Self.now() - began.load(ordering: .relaxed)
    began.store(0, ordering: .releasing)
    if took > slowest.load(ordering: .relaxed) {
      slowest.store(took, ordering: .relaxed)
      slowestStream.store(stream.load(ordering: .relaxed), ordering: .relaxed)
    }
  }

  /// The stream that took longest, and how long.
  var slowestOne: (stream: Int, milliseconds: Double) {
    (slowestStream.load(ordering: .relaxed), Double(slowest.load(ordering: .relaxed)) * 1e-6)
  }

  fileprivate func watch() -> Never {
    while true {
      usleep(50_000)
      let start = began.load(ordering: .acquiring)
      guard start > 0 else { continue }
      let now = Self.now()
      guard now > start, now - start > Self.limitNanoseconds else { continue }
      print("FAILED: stream \(stream.load(ordering: .relaxed)) has run for more than a second")
      fflush(nil)
      exit(Self.exitCode)
    }
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

private nonisolated func watchdogMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Unmanaged<Watchdog>.fromOpaque(context!).takeRetainedValue().watch()
}
