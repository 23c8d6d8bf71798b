import MartletCore

/// An operator of a plan: made once at load, run at every call, by several threads at once.
///
/// A conforming type is a final class whose properties are constants. `init` checks everything that does not depend
/// on the rows (attributes, constant inputs, element types) and throws an error that begins with the node's label
/// (`node.error(…)`). `run` reads its inputs, reserves its outputs and fills them; it allocates nothing in a steady
/// state, and the values of a row never depend on the other rows.
protocol Operator: AnyObject, Sendable {
  init(_ node: GraphNode, context: PlanningContext) throws(ModelError)

  /// Errors: INVALID_ARGUMENT when a value or shape is one that the operator refuses. The plan puts the node's
  /// label before the message.
  func run(_ context: RunContext) throws(Status)
}

/// An operator behind one virtual call, so that a plan runs a list of them without reference counting.
class AnyOperator: @unchecked Sendable {
  // `@unchecked Sendable`: subclasses hold one constant, which is Sendable.
  func run(_ context: RunContext) throws(Status) { preconditionFailure("abstract") }
}

/// The operator `Wrapped` as an `AnyOperator`.
final class OperatorBox<Wrapped: Operator>: AnyOperator, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says.
  let wrapped: Wrapped

  init(_ wrapped: Wrapped) { self.wrapped = wrapped }

  override func run(_ context: RunContext) throws(Status) { try wrapped.run(context) }
}
