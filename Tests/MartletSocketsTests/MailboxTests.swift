import Synchronization
import Testing

@testable import MartletSockets

@Suite("Mailbox")
struct MailboxTests {
  @Test("it asks for one wake-up until it is emptied")
  func wakeUps() {
    let mailbox = Mailbox(capacity: 2)
    var items: [Mailbox.Item] = []
    #expect(!mailbox.hasItems)
    #expect(mailbox.post(.work {}) == .wake)
    #expect(mailbox.post(.work {}) == .taken)
    #expect(mailbox.hasItems)
    mailbox.take(into: &items)
    #expect(items.count == 2)
    #expect(!mailbox.hasItems)
    items.removeAll()
    mailbox.take(into: &items)
    #expect(items.isEmpty)
    #expect(mailbox.post(.work {}) == .wake)
  }

  @Test("it is bounded for connections; work gets in over the bound")
  func bound() {
    let mailbox = Mailbox(capacity: 2)
    let peer = PeerInfo(address: .unix(path: ""), listener: .unix(path: "/x"))
    func adopt() -> Mailbox.Answer { mailbox.post(.adopt(descriptor: -1, peer: peer, limiter: nil)) }
    #expect(adopt() == .wake)
    #expect(adopt() == .taken)
    #expect(adopt() == .refused)
    #expect(mailbox.post(.work {}) == .taken)
    #expect(adopt() == .refused)
    #expect(mailbox.close().count == 3)
  }

  @Test("work comes out as it went in")
  func order() {
    let mailbox = Mailbox(capacity: 100)
    let seen = Mutex<[Int]>([])
    for number in 0..<10 { _ = mailbox.post(.work { seen.withLock { $0.append(number) } }) }
    var items: [Mailbox.Item] = []
    mailbox.take(into: &items)
    for case .work(let work) in items { work() }
    #expect(seen.withLock { $0 } == Array(0..<10))
  }

  @Test("a closed one refuses and returns what was left")
  func close() {
    let mailbox = Mailbox(capacity: 2)
    _ = mailbox.post(.work {})
    #expect(mailbox.close().count == 1)
    #expect(mailbox.post(.work {}) == .refused)
    #expect(mailbox.close().isEmpty)
  }
}
