import MartletCore
import MartletWire

/// Finds a method by the names that came over the wire: at most one hash over both, no allocation.
///
/// The names lie in memory of their own, since reading an array of arrays retains an element for every look. Immutable;
/// any thread.
public final class Router: @unchecked Sendable {
  // `@unchecked Sendable`: written by `init` only.
  public struct Route: Sendable, Equatable {
    public var service: Int
    public var method: Int
    /// The router's own number of this route, a guess for the next call of the same caller.
    public var entry: Int
  }

  private struct Entry {
    var hash: UInt64
    var service: UnsafeRawBufferPointer
    var method: UnsafeRawBufferPointer
    /// Both names as the first fields of a request.
    var names: UnsafeRawBufferPointer
    var route: Route
  }

  /// Open addressing over a power of two of slots, at most half of them taken.
  private let slots: UnsafeMutableBufferPointer<Int32>
  private let entries: UnsafeMutableBufferPointer<Entry>

  public init(_ services: [any Service]) {
    var made: [Entry] = []
    for (serviceIndex, service) in services.enumerated() {
      for (methodIndex, method) in service.methods.enumerated() {
        let serviceName = Self.keep(service.name)
        let methodName = Self.keep(method.name)
        made.append(
          Entry(
            hash: Self.hash(serviceName, methodName), service: serviceName, method: methodName,
            names: Self.encode(service.name, method.name),
            route: Route(service: serviceIndex, method: methodIndex, entry: made.count)))
      }
    }
    var size = 16
    while size < made.count * 2 { size *= 2 }
    slots = .allocate(capacity: size)
    slots.initialize(repeating: -1)
    entries = .allocate(capacity: max(1, made.count))
    _ = entries.initialize(from: made)
    count = made.count
    for (index, entry) in made.enumerated() {
      var slot = Int(entry.hash & UInt64(size - 1))
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }

  private let count: Int

  deinit {
    for index in 0..<count {
      entries[index].service.deallocate()
      entries[index].method.deallocate()
      entries[index].names.deallocate()
    }
    entries.deallocate()
    slots.deallocate()
  }

  private static func keep(_ name: String) -> UnsafeRawBufferPointer {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: name.utf8.count, alignment: 8)
    copy.copyBytes(from: name.utf8)
    return UnsafeRawBufferPointer(copy)
  }

  private static func encode(_ service: String, _ method: String) -> UnsafeRawBufferPointer {
    var fields = ProtoBuffer()
    fields.string(1, service)
    fields.string(2, method)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: fields.bytes.count, alignment: 8)
    copy.copyBytes(from: fields.bytes)
    return UnsafeRawBufferPointer(copy)
  }

  /// The route of a request that begins with the names of `guess`, as written by anybody who writes fields in their order,
  /// and how many bytes those take; nil when the request has to be read.
  @inline(__always)
  func route(ofRequest request: UnsafeRawBufferPointer, guess: Int) -> (route: Route, bytes: Int)? {
    guard guess >= 0, guess < count, let start = request.baseAddress else { return nil }
    let entry = entries.baseAddress.unsafelyUnwrapped + guess
    let names = entry.pointee.names
    guard request.count >= names.count,
      UnsafeRawBufferPointer(start: start, count: names.count).hasSameBytes(as: names)
    else { return nil }
    return (entry.pointee.route, names.count)
  }

  /// - Parameter guess: the `entry` of the route that the same caller took last; any number.
  public func route(service: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer, guess: Int = -1) -> Route? {
    if guess >= 0, guess < count, entries[guess].method.hasSameBytes(as: method),
      entries[guess].service.hasSameBytes(as: service)
    {
      return entries[guess].route
    }
    let hash = Self.hash(service, method)
    var slot = Int(hash & UInt64(slots.count - 1))
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if entries[index].hash == hash, entries[index].service.hasSameBytes(as: service),
        entries[index].method.hasSameBytes(as: method)
      {
        return entries[index].route
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Whether any method of this service is known; for a precise refusal, not for the hot path.
  public func knows(service: UnsafeRawBufferPointer) -> Bool {
    (0..<count).contains { entries[$0].service.hasSameBytes(as: service) }
  }

  /// FNV-1a over the service, a separator and the method.
  private static func hash(_ service: UnsafeRawBufferPointer, _ method: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in service { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ 0x2f) &* 0x100_0000_01b3
    for byte in method { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}
