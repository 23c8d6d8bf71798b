import CProtos
import MartletCore
import MartletRPC
import MartletWire

/// `grpc.health.v1.Health`: the server as a whole (no name), each of its services, each model by its name.
public final class HealthService: UnaryService {
  public let name = "grpc.health.v1.Health"
  public let methods = [MethodDescriptor("Check"), MethodDescriptor("List")]

  private static let serving: Int64 = 1
  private static let notServing: Int64 = 2

  private let context: ServiceContext
  private let services: [String]
  private let checkRequest: MessageType<Grpc__Health__V1__HealthCheckRequest>

  /// - Parameter services: names of the other services.
  public init(_ context: ServiceContext, services: [String]) {
    self.context = context
    self.services = services + ["grpc.health.v1.Health"]
    var check = Grpc__Health__V1__HealthCheckRequest()
    grpc__health__v1__health_check_request__init(&check)
    checkRequest = MessageType(
      "HealthCheckRequest", check, \.base, grpc__health__v1__health_check_request__unpack)
  }

  public func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    if call.method == 0 { try check(call, payload) } else { list(call) }
  }

  private func check(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, checkRequest)
    let service = UnsafeRawBufferPointer(text: request.pointee.service)
    let name = String(decoding: service, as: UTF8.self)
    guard let status = status(of: name) else {
      throw Status(.notFound, "service: \(service.quoted) is neither a service nor a model of this server")
    }
    var answer = ProtoBuffer()
    answer.integer(1, status)
    context.answer(call.id, answer)
  }

  private func list(_ call: CallHead) {
    var answer = ProtoBuffer()
    let models = context.models.catalogue.entries.map(\.name)
    for name in [""] + services + models {
      answer.message(1) { entry in
        entry.string(1, name)
        entry.message(2) { $0.integer(1, status(of: name) ?? Self.notServing) }
      }
    }
    context.answer(call.id, answer)
  }

  private func status(of name: String) -> Int64? {
    if name.isEmpty || services.contains(name) {
      return context.server.readiness.isReady ? Self.serving : Self.notServing
    }
    guard let entry = context.models.catalogue.entries.first(where: { $0.name == name }) else { return nil }
    return !entry.versions.isEmpty && !context.server.isDraining ? Self.serving : Self.notServing
  }
}
