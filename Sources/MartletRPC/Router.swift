import MartletCore

/// Finds a method by the names that came over the wire: one hash over both, no allocation.
public struct Router {
  public struct Route: Sendable, Equatable {
    public var service: Int
    public var method: Int
  }

  private struct Entry {
    var hash: UInt64
    var service: [UInt8]
    var method: [UInt8]
    var route: Route
  }

  /// Open addressing over a power of two of slots, at most half of them taken.
  private var slots: [Int32]
  private var entries: [Entry] = []

  public init(_ services: [any Service]) {
    for (serviceIndex, service) in services.enumerated() {
      for (methodIndex, method) in service.methods.enumerated() {
        let serviceName = Array(service.name.utf8)
        let methodName = Array(method.name.utf8)
        let hash = serviceName.withUnsafeBytes { service in
          methodName.withUnsafeBytes { method in Self.hash(service, method) }
        }
        entries.append(
          Entry(
            hash: hash, service: serviceName, method: methodName,
            route: Route(service: serviceIndex, method: methodIndex)))
      }
    }
    var size = 16
    while size < entries.count * 2 { size *= 2 }
    slots = Array(repeating: -1, count: size)
    for (index, entry) in entries.enumerated() {
      var slot = Int(entry.hash & UInt64(size - 1))
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }

  public func route(service: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer) -> Route? {
    let hash = Self.hash(service, method)
    var slot = Int(hash & UInt64(slots.count - 1))
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if entries[index].hash == hash, Self.equal(entries[index].service, service),
        Self.equal(entries[index].method, method)
      {
        return entries[index].route
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Whether any method of this service is known; for a precise refusal, not for the hot path.
  public func knows(service: UnsafeRawBufferPointer) -> Bool {
    entries.contains { Self.equal($0.service, service) }
  }

  /// FNV-1a over the service, a separator and the method.
  private static func hash(_ service: UnsafeRawBufferPointer, _ method: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in service { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ 0x2f) &* 0x100_0000_01b3
    for byte in method { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }

  private static func equal(_ known: [UInt8], _ came: UnsafeRawBufferPointer) -> Bool {
    known.count == came.count && known.withUnsafeBytes { $0.elementsEqual(came) }
  }
}
