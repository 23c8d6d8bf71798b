import MartletCore
import MartletEngine

/// Reads `ModelProto` and `GraphProto`; nodes, tensors and leaf messages are extensions in files of their own.
struct ONNXReader {
  /// The most nodes, names, attributes, initializers and metadata entries of a file, together. Each costs up to some
  /// 150 bytes of memory however few it has in the file, so this bounds what a small hostile file can make us allocate.
  static let maximumParts = 100_000

  var parts = 0
  /// Calls of functions that have been put in place; makes their names unique.
  var calls = 0
  /// How deep the graph that is being read lies inside others.
  private var depth = 0

  /// Counts one more part of the model's structure.
  mutating func count(_ reader: ProtobufReader) throws(ModelError) {
    parts += 1
    guard parts <= Self.maximumParts else {
      throw reader.error(
        "the model has more than \(Self.maximumParts) nodes, names, attributes and tensors, which is the limit")
    }
  }

  mutating func model(_ message: ProtobufReader) throws(ModelError) -> Graph {
    var reader = message
    var irVersion: Int64?
    var producerName = ""
    var producerVersion = ""
    var graphMessage: ProtobufReader?
    var opsets: [String: Int] = [:]
    var metadata: [String: String] = [:]
    var functionMessages: [ProtobufReader] = []
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1:
        try reader.expect(field, .varint, "ir_version")
        irVersion = Int64(bitPattern: try reader.varint())
      case 2: producerName = try text(&reader, field, "producer_name")
      case 3: producerVersion = try text(&reader, field, "producer_version")
      case 7:
        try reader.expect(field, .bytes, "graph")
        guard graphMessage == nil else { throw reader.error("the model has a second graph, expected one") }
        graphMessage = try reader.message()
      case 8:
        try reader.expect(field, .bytes, "opset_import")
        try count(reader)
        let (domain, version) = try operatorSet(&reader)
        // Some exporters repeat themselves.
        if let other = opsets.updateValue(version, forKey: domain), other != version {
          throw reader.error("versions \(other) and \(version) of domain '\(domain)' are imported, expected one")
        }
      case 14:
        try reader.expect(field, .bytes, "metadata_props")
        try count(reader)
        let (key, value) = try entry(&reader)
        metadata[key] = value
      case 20: throw reader.error("the model holds training information, expected a model for inference only")
      case 25:
        try reader.expect(field, .bytes, "functions")
        try count(reader)
        functionMessages.append(try reader.message())
      default: try reader.skip(field.wire)
      }
    }
    guard let irVersion else { throw reader.error("ir_version is missing") }
    guard ONNXFormat.irVersions.contains(irVersion) else {
      let known = ONNXFormat.irVersions
      throw reader.error("ir_version is \(irVersion), supported are \(known.lowerBound) to \(known.upperBound)")
    }
    guard let graphMessage else { throw reader.error("the model has no graph") }
    for (domain, version) in opsets.sorted(by: { $0.key < $1.key }) {
      guard let known = OperatorRegistry.opsets[domain], !known.contains(version) else { continue }
      throw reader.error(
        "the model asks for version \(version) of \(domain.isEmpty ? "the default domain" : domain), supported are "
          + "\(known.lowerBound) to \(known.upperBound)")
    }
    var graph = try graph(graphMessage, opsets: opsets)
    var functions: [String: ONNXFunction] = [:]
    for message in functionMessages {
      let function = try function(message)
      let key = Self.key(domain: function.domain, name: function.name)
      guard functions.updateValue(function, forKey: key) == nil else {
        throw message.error("there are two functions '\(function.name)'")
      }
    }
    if !functions.isEmpty { graph.nodes = try inline(functions, into: graph.nodes) }
    graph.metadata = metadata
    graph.producer = producerVersion.isEmpty ? producerName : "\(producerName) \(producerVersion)"
    return graph
  }

  mutating func graph(_ message: ProtobufReader, opsets: [String: Int]) throws(ModelError) -> Graph {
    guard depth < Self.maximumDepth else {
      throw message.error("graphs lie inside each other more than \(Self.maximumDepth) deep")
    }
    depth += 1
    defer { depth -= 1 }
    var reader = message
    var graph = Graph(inputs: [], outputs: [], nodes: [], opsets: opsets)
    while !reader.isAtEnd {
      let field = try reader.field()
      switch field.number {
      case 1:
        try reader.expect(field, .bytes, "node")
        try count(reader)
        graph.nodes.append(try node(try reader.message(), index: graph.nodes.count, opsets: opsets))
      case 5:
        try reader.expect(field, .bytes, "initializer")
        try count(reader)
        let (name, tensor) = try tensor(try reader.message(), what: "initializer")
        guard !name.isEmpty else { throw reader.error("an initializer has no name") }
        guard graph.initializers.updateValue(tensor, forKey: name) == nil else {
          throw reader.error("there are two initializers '\(name)'")
        }
      case 11:
        try reader.expect(field, .bytes, "input")
        try count(reader)
        graph.inputs.append(try valueInfo(&reader, what: "input"))
      case 12:
        try reader.expect(field, .bytes, "output")
        try count(reader)
        graph.outputs.append(try valueInfo(&reader, what: "output"))
      case 15: throw reader.error("sparse initializers are not supported")
      default: try reader.skip(field.wire)
      }
    }
    // Before format version 4 every initializer is an input as well; none of them is something that a caller gives.
    graph.inputs.removeAll { graph.initializers[$0.name] != nil }
    return graph
  }

  /// A text of at most 64 KiB: valid UTF-8 without NUL.
  func text(
    _ reader: inout ProtobufReader, _ field: ProtobufReader.Field, _ name: String
  ) throws(ModelError) -> String {
    try reader.expect(field, .bytes, name)
    let bytes = try reader.bytes()
    return try text(bytes, reader, name)
  }

  func text(
    _ bytes: UnsafeBufferPointer<UInt8>, _ reader: ProtobufReader, _ name: String
  ) throws(ModelError) -> String {
    guard bytes.count <= 1 << 16 else {
      throw reader.error("\(name) has \(bytes.count) bytes, the limit is \(1 << 16)")
    }
    guard isValidUTF8(UnsafeRawBufferPointer(bytes)), !bytes.contains(0) else {
      throw reader.error("\(name) is not a text in UTF-8 without NUL")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Whether `bytes` are well-formed UTF-8; allocates nothing.
func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
  do {
    _ = try UTF8Span(validating: Span<UInt8>(_bytes: bytes.bytes))
    return true
  } catch {
    return false
  }
}
