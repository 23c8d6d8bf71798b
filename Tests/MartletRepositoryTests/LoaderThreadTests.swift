import Dispatch
import Glibc
import Synchronization
import Testing

@testable import MartletRepository

@Suite("The loader's thread")
struct LoaderThreadTests {
  private static func niceness() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

  private final class Notes: Sendable {
    let niceness = Mutex<[Int32]>([])
    let order = Mutex<[Int]>([])
  }

  @Test("only what is heavy is nice, so that no thread begun beside it is")
  func politeness() throws {
    let usual = Self.niceness()
    let notes = Notes()
    let done = DispatchSemaphore(value: 0)
    let thread = LoaderThread()
    thread.run {
      let before = Self.niceness()
      // No thread has a niceness of -100: what fails is seen below.
      let within = (try? thread.politely { Self.niceness() }) ?? -100
      let hasty = (try? thread.politely(isHasty: true) { Self.niceness() }) ?? -100
      notes.niceness.withLock { $0 = [before, within, hasty, Self.niceness()] }
      done.signal()
    }
    #expect(done.wait(timeout: .now() + 10) == .success)
    #expect(notes.niceness.withLock { $0 } == [usual, 19, usual, usual])
  }

  @Test("what heavy work throws comes back")
  func errors() {
    struct Failed: Error {}
    #expect(throws: Failed.self) { try LoaderThread().politely { throw Failed() } }
  }

  /// The calling thread as /proc names it.
  private static func threadPath() -> String {
    var path = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/thread-self", &path, path.count)
    return "/proc/" + String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test("all heavy work is done by one thread, which ends with its owner")
  func oneThread() throws {
    var thread: LoaderThread? = LoaderThread()
    let paths = try (0..<20).map { _ in try thread!.politely { Self.threadPath() } }
    #expect(Set(paths).count == 1)
    #expect(access(paths[0], F_OK) == 0)
    thread = nil
    for _ in 0..<1000 where access(paths[0], F_OK) == 0 { usleep(10_000) }
    #expect(access(paths[0], F_OK) != 0)
  }

  @Test("pieces of work are done one after the other, in order")
  func order() {
    let thread = LoaderThread()
    let notes = Notes()
    let done = DispatchSemaphore(value: 0)
    for number in 0..<200 {
      thread.run {
        notes.order.withLock { $0.append(number) }
        if number == 199 { done.signal() }
      }
    }
    #expect(done.wait(timeout: .now() + 10) == .success)
    #expect(notes.order.withLock { $0 } == Array(0..<200))
  }
}
