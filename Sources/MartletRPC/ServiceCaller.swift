import MartletCore

/// Calls a service, whatever its type, without reference counting: a protocol's value that is read from memory is retained
/// for the time of a call, an unmanaged class is not.
class ServiceCaller {
  /// - Returns: the status that ends the call, which `Service.unary` throws.
  func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) -> Status? { nil }

  /// Keeps the service as long as it lives.
  static func make<Called: Service>(_ service: Called) -> ServiceCaller { CallerOf(service) }
}

private final class CallerOf<Called: Service>: ServiceCaller {
  private let kept: Called
  private let service: Unmanaged<Called>

  init(_ service: Called) {
    kept = service
    self.service = .passUnretained(service)
  }

  override func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) -> Status? {
    service._withUnsafeGuaranteedRef { service -> Status? in
      do throws(Status) {
        try service.unary(call, payload)
        return nil
      } catch {
        return error
      }
    }
  }
}
