import MartletCore
import Testing

@testable import MartletRPC

private final class Fake: UnaryService {
  let name: String
  let methods: [MethodDescriptor]
  init(_ name: String, _ methods: [String]) {
    self.name = name
    self.methods = methods.map { MethodDescriptor($0) }
  }
}

@Suite("Routing")
struct RouterTests {
  private func route(_ router: Router, _ service: String, _ method: String, guess: Int = -1) -> Router.Route? {
    Array(service.utf8).withUnsafeBytes { service in
      Array(method.utf8).withUnsafeBytes { router.route(service: service, method: $0, guess: guess) }
    }
  }

  @Test("every method is found by its own names and by no others")
  func finds() {
    let services = (0..<20).map { index in Fake("pkg.S\(index)", (0..<10).map { "M\($0)" }) }
    let router = Router(services)
    for (service, fake) in services.enumerated() {
      for (method, descriptor) in fake.methods.enumerated() {
        let found = route(router, fake.name, descriptor.name)
        #expect(found == .init(service: service, method: method, entry: service * 10 + method))
        // A guess, right or wrong, changes nothing.
        for guess in [service * 10 + method, 0, 199, 200, .max] {
          #expect(route(router, fake.name, descriptor.name, guess: guess) == found)
        }
      }
      #expect(route(router, fake.name, "M") == nil)
      #expect(route(router, fake.name, "M00") == nil)
    }
    #expect(route(router, "pkg.S", "M0") == nil)
    #expect(route(router, "", "") == nil)
    // The separator belongs to the hash and to the comparison: names do not run into each other.
    #expect(route(router, "pkg.S1M", "0") == nil)
  }

  @Test("a call is found by its id until it is taken out, and never by an old id")
  func table() {
    var table = CallTable()
    let time = MonotonicTime(nanoseconds: 1)
    func id(_ connection: UInt32, _ generation: UInt32, _ stream: UInt32) -> CallID {
      CallID(reactor: 0, connection: connection, generation: generation, stream: stream, entry: 0)
    }
    let a = table.insert(id(1, 1, 1), service: 0, route: 0, received: time)
    let b = table.insert(id(1, 1, 3), service: 0, route: 1, received: time)
    #expect(a.entry != b.entry)
    let both = table.calls(connection: 1, generation: 1)
    #expect(both.count == 2)
    let taken = table.remove(a)?.pointee.id
    #expect(taken == a)
    let again = table.remove(a) == nil
    #expect(again)
    let c = table.insert(id(1, 2, 1), service: 0, route: 0, received: time)
    #expect(c.entry == a.entry)
    let (hasOld, hasNew) = (table.contains(a), table.contains(c))
    #expect(!hasOld)
    #expect(hasNew)
    // More than there is room for at first, all of them found.
    let many = (0..<1000).map { number in
      table.insert(id(2, 1, UInt32(2 * number + 1)), service: 0, route: 0, received: time)
    }
    let count = table.count
    #expect(count == 1002)
    let found = many.filter { table.contains($0) }
    #expect(found == many)
  }
}
