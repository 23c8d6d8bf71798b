import Dispatch
import FlyingFox
import Foundation
import Synchronization

/// Answers requests from the routes, one at a time on a queue of its own.
final class AdminPages: HTTPHandler {
  private let routes: [String: AdminRoute]
  private let index: String
  private let queue = DispatchQueue(label: "martlet.admin", qos: .utility)
  private let waiting = Mutex(0)
  /// Requests that may wait for their page; further ones are told to come back.
  private static let maximumWaiting = 16

  init(_ routes: [AdminRoute]) {
    self.routes = Dictionary(routes.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
    index = "paths: " + routes.map(\.path).joined(separator: ", ") + "\n"
  }

  func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
    guard request.method == .GET || request.method == .HEAD else {
      return Self.encode(AdminResponse(status: 405, body: "use GET\n"), headers: [HTTPHeader("Allow"): "GET, HEAD"])
    }
    return Self.encode(await answer(path: request.path), hasBody: request.method == .GET)
  }

  private func answer(path: String) async -> AdminResponse {
    guard let route = routes[path] else {
      return AdminResponse(status: path == "/" ? 200 : 404, body: index)
    }
    let isWelcome = waiting.withLock {
      guard $0 < Self.maximumWaiting else { return false }
      $0 += 1
      return true
    }
    guard isWelcome else { return AdminResponse(status: 503, body: "too many requests at once\n") }
    defer { waiting.withLock { $0 -= 1 } }
    return await withCheckedContinuation { continuation in
      queue.async { continuation.resume(returning: route.respond()) }
    }
  }

  private static func encode(
    _ answer: AdminResponse, headers: [HTTPHeader: String] = [:], hasBody: Bool = true
  ) -> HTTPResponse {
    let body = Data(answer.body.utf8)
    var headers = HTTPHeaders(headers)
    headers[.contentType] = answer.contentType
    headers[HTTPHeader("Cache-Control")] = "no-store"
    headers[.contentLength] = String(body.count)
    let phrase =
      switch answer.status {
      case 200: "OK"
      case 404: "Not Found"
      case 405: "Method Not Allowed"
      default: "Service Unavailable"
      }
    return HTTPResponse(
      statusCode: HTTPStatusCode(answer.status, phrase: phrase), headers: headers, body: hasBody ? body : Data())
  }
}
