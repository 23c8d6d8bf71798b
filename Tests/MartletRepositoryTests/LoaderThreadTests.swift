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
    LoaderThread().run {
      let before = Self.niceness()
      let within = (try? LoaderThread.politely { Self.niceness() }) ?? -100
      notes.niceness.withLock { $0 = [before, within, Self.niceness()] }
      done.signal()
    }
    #expect(done.wait(timeout: .now() + 10) == .success)
    #expect(notes.niceness.withLock { $0 } == [usual, 19, usual])
  }

  @Test("what heavy work throws comes back")
  func errors() {
    struct Failed: Error {}
    #expect(throws: Failed.self) { try LoaderThread.politely { throw Failed() } }
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
