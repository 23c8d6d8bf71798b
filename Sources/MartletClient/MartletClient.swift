import Dispatch
import Glibc
import MartletCore
import Synchronization

/// Calls Martlet servers.
///
///     let client = try MartletClient("ttrpc://127.0.0.1:8001")
///     let request = ScoreRequest(
///       model: "credit-risk",
///       columns: [
///         Column(name: "age", values: .integers([35, 52])),
///         Column(name: "purpose", values: .texts(["car", "education"])),
///       ])
///     let response = try await client.score(request, timeout: .milliseconds(250))
///     if case .classification(let classification) = response.result {
///       for row in 0..<response.rows { print(classification.labels.text(row)) }
///     }
///     await client.close()
///
/// Several servers share the calls in turn; one that fails is left out for a while, longer each time. A call that
/// cannot have been executed, or that may be executed twice, is tried again after a random wait; loading and unloading
/// a model never is. A scoring request too large for one call is split by rows and its answers are joined in order.
///
/// All methods may be called from any thread. A call's `Task` may be cancelled: the call then ends with `cancelled`,
/// and its answer, if there is one, is dropped. Every error is a `ClientError`. One thread does the work of all calls.
public final class MartletClient: Sendable {
  public let configuration: ClientConfiguration
  let dispatcher: CallDispatcher
  private let nextCall = Atomic<UInt64>(1)
  /// Whether `close` was called. Submitting holds the lock too, so that no call is posted behind the last one.
  private let isClosed = Mutex(false)

  /// A client of the servers at `servers`, of which there is at least one. Connections are opened when calls need them.
  public init(servers: [ServerURL], configuration: ClientConfiguration = ClientConfiguration()) throws(ClientError) {
    guard !servers.isEmpty else { throw ClientError(.invalidArgument, "there is no server to call") }
    self.configuration = configuration
    dispatcher = CallDispatcher(servers: servers, configuration: configuration)
    dispatcher.channel.start(delegate: dispatcher)
  }

  /// A client of the servers at `urls`, separated by commas.
  public convenience init(
    _ urls: String, configuration: ClientConfiguration = ClientConfiguration()
  ) throws(ClientError) {
    try self.init(servers: ServerURL.list(urls), configuration: configuration)
  }

  deinit {
    guard !isClosed.withLock({ $0 }) else { return }
    // No call is left, since each holds the client. The thread is joined elsewhere: this may be it.
    let channel = dispatcher.channel
    DispatchQueue.global().async { channel.stop() }
  }

  /// Ends all calls with `cancelled`, then the connections and the thread. Later calls fail.
  public func close() async {
    let wasClosed = isClosed.withLock { closed in
      let before = closed
      closed = true
      return before
    }
    guard !wasClosed else { return }
    let dispatcher = dispatcher
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      DispatchQueue.global().async {
        // The mailbox keeps the order, so every call that was submitted is known to the dispatcher by then.
        let done = DispatchSemaphore(value: 0)
        while !dispatcher.channel.post({
          dispatcher.close()
          done.signal()
        }) {
          // The mailbox is full: its owner is about to empty it.
          usleep(1_000)
        }
        done.wait()
        dispatcher.channel.stop()
        continuation.resume()
      }
    }
  }

  /// Calls `method` with an encoded message and returns the encoded answer.
  ///
  /// - Parameters:
  ///   - timeout: how long all attempts together may take; without it, the configuration's.
  ///   - retry: when an attempt is made again; without it, the configuration's policy.
  public func call(
    _ method: RPCMethod, payload: [UInt8], timeout: Duration? = nil, retry: RetryPolicy? = nil
  ) async throws(ClientError) -> [UInt8] {
    let deadline: MonotonicTime =
      if let timeout = timeout ?? configuration.timeout {
        MonotonicTime.now().advanced(by: timeout)
      } else {
        .distantFuture
      }
    let id = nextCall.add(1, ordering: .relaxed).oldValue
    let call = PendingCall(
      id: id, method: method, payload: payload, deadline: deadline, retry: retry ?? configuration.retry)
    let dispatcher = dispatcher
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Result<[UInt8], ClientError>, Never>) in
        call.finish = { continuation.resume(returning: $0) }
        submit(call)
      }
    } onCancel: {
      // Set before posting: whichever of submit and cancel runs first on the channel's thread sees it.
      call.isCancelled.store(true, ordering: .releasing)
      dispatcher.channel.post { dispatcher.cancel(id) }
    }
    return try result.get()
  }

  private func submit(_ call: PendingCall) {
    let dispatcher = dispatcher
    let refusal: ClientError? = isClosed.withLock { closed in
      guard !closed else { return ClientError(.cancelled, "the client is closed") }
      guard dispatcher.channel.post({ dispatcher.submit(call) }) else {
        return ClientError(.resourceExhausted, "the client's mailbox is full")
      }
      return nil
    }
    if let refusal { call.finish?(.failure(refusal)) }
  }

  /// Calls `method` with a message and reads the answer.
  func call<Answer: IncomingMessage>(
    _ method: RPCMethod, _ request: some OutgoingMessage, timeout: Duration?
  ) async throws(ClientError) -> Answer {
    let bytes = try await call(method, payload: request.encoded(), timeout: timeout)
    do throws(MessageError) {
      return try Answer(decoding: bytes)
    } catch {
      throw ClientError(.internalError, "the answer of \(method.name) cannot be read: \(error)")
    }
  }
}
