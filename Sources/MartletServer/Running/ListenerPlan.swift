import MartletCore
import MartletSockets

/// Which listeners a server begins with: those of `listen`, each from a socket that came from another process where one
/// is bound to its address, else bound anew.
struct ListenerPlan: ~Copyable {
  private struct Candidate {
    let socket: InheritedSocket
    let address: SocketAddress
  }

  private var candidates: [Candidate] = []

  /// - Parameters:
  ///   - handedOver: sockets of the server that ran before; those that are not wanted are closed.
  ///   - activated: sockets from the service manager; all of them must be wanted.
  init(handedOver: [InheritedSocket], activated: [InheritedSocket]) throws(Status) {
    for socket in handedOver + activated {
      let address = try socket.address()
      // The server that ran before had them from the same service manager.
      guard !candidates.contains(where: { $0.address == address }) else { continue }
      candidates.append(Candidate(socket: socket, address: address))
    }
  }

  /// - Parameter isDefault: whether nobody said where to listen: then a service manager's sockets are the listeners.
  consuming func listeners(
    for wanted: [ListenAddress], isDefault: Bool
  ) throws(Status) -> [Listener] {
    if isDefault, candidates.contains(where: \.socket.isSupervised) {
      var listeners: [Listener] = []
      for candidate in candidates where candidate.socket.isSupervised {
        listeners.append(try Listener(adopting: candidate.socket))
      }
      return listeners
    }
    var resolved: [[SocketAddress]] = []
    for address in wanted { resolved.append(try SocketAddress.resolve(address.description)) }
    var listeners = [Listener?](repeating: nil, count: wanted.count)
    // Exact addresses first: port 0 takes whatever is left of its host.
    for isExact in [true, false] {
      for (index, addresses) in resolved.enumerated() where listeners[index] == nil {
        let found = candidates.firstIndex { candidate in
          addresses.contains { wanted in
            isExact
              ? wanted == candidate.address : wanted.port == 0 && candidate.address.with(port: 0) == wanted
          }
        }
        if let found { listeners[index] = try Listener(adopting: candidates.remove(at: found).socket) }
      }
    }
    if let stray = candidates.first(where: \.socket.isSupervised) {
      throw Status(
        .invalidArgument,
        "\(stray.socket.name) listens on \(stray.address), which is not among the addresses to listen on "
          + "(\(wanted.map(\.description).joined(separator: ", "))); add it with --listen, or take it from the unit")
    }
    // New ones last: what cannot be bound is an error, and the sockets that came are untouched by it.
    var all: [Listener] = []
    for (index, listener) in listeners.enumerated() {
      if let listener { all.append(listener) } else { all.append(try Listener(address: resolved[index][0])) }
    }
    return all
  }
}
