import MartletCore
import MartletEngine

/// `NodeProto` and `AttributeProto`.
extension ONNXReader {
  /// Attributes that no operator reads: how often training rows came by. They are as long as a forest has nodes.
  private static let unusedAttributes: Set<String> = ["nodes_hitrates", "nodes_hitrates_as_tensor"]

  mutating func node(
    _ message: ProtobufReader, index: Int, opsets: [String: Int]
  ) throws(ModelError) -> GraphNode {
    var reader = message
    var node = GraphNode(opType: "", opset: 0, inputs: [], outputs: [])
    // The name may come behind the attributes, and errors about them should say it.
    var attributes: [ProtobufReader] = []
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1:
        try count(reader)
        node.inputs.append(try text(&reader, field, "an input of node \(index)"))
      case 2:
        try count(reader)
        node.outputs.append(try text(&reader, field, "an output of node \(index)"))
      case 3: node.name = try text(&reader, field, "the name of node \(index)")
      case 4: node.opType = try text(&reader, field, "the operator of node \(index)")
      case 5:
        try reader.expect(field, .bytes, "an attribute of node \(index)")
        try count(reader)
        attributes.append(try reader.message())
      case 7: node.domain = Self.canonical(domain: try text(&reader, field, "the domain of node \(index)"))
      default: try reader.skip(field.wire)
      }
    }
    guard !node.opType.isEmpty else { throw reader.error("node \(index) '\(node.name)' names no operator") }
    guard let opset = opsets[node.domain] else {
      let domain = node.domain.isEmpty ? "the default domain" : "domain '\(node.domain)'"
      throw reader.error("\(node.label) is of \(domain), of which the model imports no operator set")
    }
    node.opset = opset
    for attribute in attributes {
      let (name, value) = try self.attribute(attribute, of: node, opsets: opsets)
      guard let value else { continue }
      guard node.attributes.updateValue(value, forKey: name) == nil else {
        throw reader.error("\(node.label) has two attributes '\(name)'")
      }
    }
    node.bindCapturedValues()
    return node
  }

  /// The kinds of values by their numbers in `AttributeProto.AttributeType`.
  private enum Kind: UInt64 {
    case float = 1
    case integer = 2
    case text = 3
    case tensor = 4
    case graph = 5
    case floats = 6
    case integers = 7
    case texts = 8
    case tensors = 9
    case graphs = 10
    case sparseTensor = 11
    case sparseTensors = 12
    case type = 13
    case types = 14
  }

  /// What a first pass over an attribute finds: where its values are and how many.
  private struct AttributeFields {
    var name = ""
    var kind: Kind?
    var float: Float?
    var integer: Int64?
    var text: UnsafeBufferPointer<UInt8>?
    var tensor: ProtobufReader?
    var graph: ProtobufReader?
    /// The attribute of a function that this one takes its value from.
    var reference = ""
    var floats = 0
    var integers = 0
    /// All bits in which an integer differs from its sign.
    var integerBits: UInt64 = 0
    var texts = 0
    var textBytes = 0
    var unsupported: Kind?
  }

  mutating func attribute(
    _ message: ProtobufReader, of node: GraphNode, opsets: [String: Int]
  ) throws(ModelError) -> (String, AttributeValue?) {
    let fields = try attributeFields(message, of: node)
    let name = fields.name
    guard !name.isEmpty else { throw message.error("\(node.label) has an attribute without a name") }
    if Self.unusedAttributes.contains(name) { return (name, nil) }
    func error(_ problem: String) -> ModelError {
      message.error(node.error(attribute: name, problem).message)
    }
    if let unsupported = fields.unsupported {
      throw error("is a \(unsupported), which is not supported")
    }
    if !fields.reference.isEmpty { return (name, .reference(fields.reference)) }
    // Files of the first format versions do not say the kind.
    let kind =
      fields.kind
      ?? (fields.floats > 0
        ? .floats
        : fields.integers > 0
          ? .integers
          : fields.texts > 0
            ? .texts
            : fields.tensor != nil
              ? .tensor
              : fields.graph != nil
                ? .graph
                : fields.text != nil ? .text : fields.integer != nil ? .integer : fields.float != nil ? .float : nil)
    switch kind {
    case .float: return (name, .float(fields.float ?? 0))
    case .integer: return (name, .integer(fields.integer ?? 0))
    case .text:
      let bytes = fields.text ?? UnsafeBufferPointer(start: nil, count: 0)
      guard isValidUTF8(UnsafeRawBufferPointer(bytes)) else { throw error("is not valid UTF-8") }
      return (name, .text(String(decoding: bytes, as: UTF8.self)))
    case .tensor:
      guard let tensor = fields.tensor else { throw error("is said to be a tensor, but has none") }
      return (name, .tensor(try self.tensor(tensor, what: "attribute '\(name)' of \(node.label):").tensor))
    case .graph:
      guard let graph = fields.graph else { throw error("is said to be a graph, but has none") }
      return (name, .graph(try self.graph(graph, opsets: opsets)))
    case .floats: return (name, .floats(try floats(message, count: fields.floats)))
    case .integers where node.opType.hasPrefix("TreeEnsemble") && (name.hasPrefix("nodes_") || name.hasSuffix("ids")):
      return (name, .packedIntegers(try packedIntegers(message, count: fields.integers, bits: fields.integerBits)))
    case .integers: return (name, .integers(try integers(message, count: fields.integers)))
    case .texts:
      guard let texts = try texts(message, count: fields.texts, bytes: fields.textBytes) else {
        throw error("holds a text that is not valid UTF-8")
      }
      return (name, .texts(texts))
    case .some(let other): throw error("is a \(other), which is not supported")
    case nil: throw error("has no value")
    }
  }

  /// First pass: scalars, and how many values the lists have.
  private func attributeFields(_ message: ProtobufReader, of node: GraphNode) throws(ModelError) -> AttributeFields {
    var reader = message
    var fields = AttributeFields()
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1: fields.name = try text(&reader, field, "the name of an attribute of \(node.label)")
      case 2:
        try reader.expect(field, .fixed32, "a float attribute")
        fields.float = Float(bitPattern: try reader.fixed32())
      case 3:
        try reader.expect(field, .varint, "an integer attribute")
        fields.integer = Int64(bitPattern: try reader.varint())
      case 4:
        try reader.expect(field, .bytes, "a text attribute")
        fields.text = try reader.bytes()
      case 5:
        try reader.expect(field, .bytes, "a tensor attribute")
        fields.tensor = try reader.message()
      case 7: fields.floats += try countFixed(&reader, field, width: 4, "floats")
      case 8:
        let (count, bits) = try countVarints(&reader, field, "ints")
        fields.integers += count
        fields.integerBits |= bits
      case 9:
        try reader.expect(field, .bytes, "strings")
        repeat {
          fields.texts += 1
          fields.textBytes += try reader.bytes().count
        } while reader.takes(field)
      case 20:
        try reader.expect(field, .varint, "the type of an attribute")
        let number = try reader.varint()
        guard let kind = Kind(rawValue: number) ?? (number == 0 ? .some(.float) : nil) else {
          throw reader.error("\(node.label): attribute '\(fields.name)' has the type \(number), which is unknown")
        }
        fields.kind = number == 0 ? nil : kind
      case 21:
        try reader.expect(field, .bytes, "ref_attr_name")
        fields.reference = try text(&reader, field, "the reference of an attribute of \(node.label)")
      case 6:
        try reader.expect(field, .bytes, "a graph attribute")
        fields.graph = try reader.message()
      case 10: fields.unsupported = try unsupported(&reader, field, .tensors)
      case 11: fields.unsupported = try unsupported(&reader, field, .graphs)
      case 14: fields.unsupported = try unsupported(&reader, field, .type)
      case 15: fields.unsupported = try unsupported(&reader, field, .types)
      case 22: fields.unsupported = try unsupported(&reader, field, .sparseTensor)
      case 23: fields.unsupported = try unsupported(&reader, field, .sparseTensors)
      default: try reader.skip(field.wire)
      }
    }
    return fields
  }

  private func unsupported(
    _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ kind: Kind
  ) throws(ModelError) -> Kind {
    try reader.skip(field.wire)
    return kind
  }

  // Second pass: the first one has found `count` values and walked every field without an error.

  private func floats(_ message: ProtobufReader, count: Int) throws(ModelError) -> [Float] {
    var reader = message
    var values: [Float] = []
    values.reserveCapacity(count)
    while !reader.isAtEnd {
      let field = try reader.field()
      guard field.number == 7 else {
        try reader.skip(field.wire)
        continue
      }
      try eachFixed32(&reader, field) { values.append(Float(bitPattern: $0)) }
    }
    return values
  }

  private func integers(_ message: ProtobufReader, count: Int) throws(ModelError) -> [Int64] {
    var reader = message
    var values: [Int64] = []
    values.reserveCapacity(count)
    while !reader.isAtEnd {
      let field = try reader.field()
      guard field.number == 8 else {
        try reader.skip(field.wire)
        continue
      }
      try eachVarint(&reader, field) { values.append(Int64(bitPattern: $0)) }
    }
    return values
  }

  private func packedIntegers(
    _ message: ProtobufReader, count: Int, bits: UInt64
  ) throws(ModelError) -> PackedIntegers {
    var packed = PackedIntegers(count: count, bits: bits)
    try packed.append { (add) throws(ModelError) in try eachInteger(message, add) }
    return packed
  }

  private func eachInteger(_ message: ProtobufReader, _ body: (Int64) -> Void) throws(ModelError) {
    var reader = message
    while !reader.isAtEnd {
      let field = try reader.field()
      if field.number == 8 {
        try eachVarint(&reader, field) { body(Int64(bitPattern: $0)) }
      } else {
        try reader.skip(field.wire)
      }
    }
  }

  /// Nil when one is not valid UTF-8.
  private func texts(_ message: ProtobufReader, count: Int, bytes: Int) throws(ModelError) -> ConstantTensor? {
    var reader = message
    var builder = TextTensorBuilder(count: count, bytes: bytes)
    while !reader.isAtEnd {
      let field = try reader.field()
      guard field.number == 9 else {
        try reader.skip(field.wire)
        continue
      }
      repeat {
        let text = UnsafeRawBufferPointer(try reader.bytes())
        if builder.appendKnown(text) { continue }
        guard isValidUTF8(text) else { return nil }
        builder.append(text)
      } while reader.takes(field)
    }
    return builder.finish(Shape(count))
  }
}
