/// Bytes of a protobuf message, written field by field.
struct MessageWriter {
  private(set) var bytes: [UInt8] = []

  static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
    return bytes
  }

  mutating func tag(_ field: Int, _ wire: Int) { bytes += Self.varint(UInt64(field << 3 | wire)) }

  mutating func integer(_ field: Int, _ value: Int64) {
    tag(field, 0)
    bytes += Self.varint(UInt64(bitPattern: value))
  }

  mutating func data(_ field: Int, _ value: [UInt8]) {
    tag(field, 2)
    bytes += Self.varint(UInt64(value.count))
    bytes += value
  }

  mutating func text(_ field: Int, _ value: String) { data(field, Array(value.utf8)) }

  mutating func float(_ field: Int, _ value: Float) {
    tag(field, 5)
    bytes += withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
  }

  mutating func message(_ field: Int, _ body: (inout MessageWriter) -> Void) {
    var inner = MessageWriter()
    body(&inner)
    data(field, inner.bytes)
  }
}

/// Whether lists of numbers are written one by one or packed.
enum ListForm: CaseIterable, Sendable {
  case oneByOne
  case packed
}

/// An ONNX file, written by hand so that every kind of damage can be done to it.
struct ONNXWriter {
  var form = ListForm.oneByOne
  var irVersion: Int64? = 8
  var opsets: [(String, Int64)] = [("", 18), ("ai.onnx.ml", 3)]
  var metadata: [(String, String)] = []
  var nodes: [[UInt8]] = []
  var initializers: [[UInt8]] = []
  var inputs: [[UInt8]] = []
  var outputs: [[UInt8]] = []
  /// Appended to the graph and the model as they are.
  var moreOfGraph: [UInt8] = []
  var moreOfModel: [UInt8] = []

  enum Attribute {
    case integer(Int64)
    case float(Float)
    case text(String)
    case integers([Int64])
    case floats([Float])
    case texts([String])
    case raw([UInt8])
  }

  static func value(_ name: String, type: Int64, _ dims: [Int64?]) -> [UInt8] {
    var writer = MessageWriter()
    writer.text(1, name)
    writer.message(2) { kind in
      kind.message(1) { tensor in
        tensor.integer(1, type)
        tensor.message(2) { shape in
          for dim in dims {
            shape.message(1) { if let dim { $0.integer(1, dim) } else { $0.text(2, "N") } }
          }
        }
      }
    }
    return writer.bytes
  }

  func attribute(_ name: String, _ value: Attribute) -> [UInt8] {
    var writer = MessageWriter()
    writer.text(1, name)
    switch value {
    case .integer(let integer):
      writer.integer(3, integer)
      writer.integer(20, 2)
    case .float(let float):
      writer.float(2, float)
      writer.integer(20, 1)
    case .text(let text):
      writer.text(4, text)
      writer.integer(20, 3)
    case .integers(let integers):
      if form == .packed {
        writer.data(8, integers.flatMap { MessageWriter.varint(UInt64(bitPattern: $0)) })
      } else {
        for integer in integers { writer.integer(8, integer) }
      }
      writer.integer(20, 7)
    case .floats(let floats):
      if form == .packed {
        writer.data(7, floats.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
      } else {
        for float in floats { writer.float(7, float) }
      }
      writer.integer(20, 6)
    case .texts(let texts):
      for text in texts { writer.text(9, text) }
      writer.integer(20, 8)
    case .raw(let bytes): return writer.bytes + bytes
    }
    return writer.bytes
  }

  mutating func node(
    _ opType: String, domain: String = "", name: String = "", _ inputs: [String], _ outputs: [String],
    _ attributes: KeyValuePairs<String, Attribute> = [:]
  ) {
    var writer = MessageWriter()
    for input in inputs { writer.text(1, input) }
    for output in outputs { writer.text(2, output) }
    if !name.isEmpty { writer.text(3, name) }
    writer.text(4, opType)
    for (key, value) in attributes { writer.data(5, attribute(key, value)) }
    if !domain.isEmpty { writer.text(7, domain) }
    nodes.append(writer.bytes)
  }

  mutating func initializer(_ name: String, type: Int64, dims: [Int64], _ body: (inout MessageWriter) -> Void) {
    var writer = MessageWriter()
    for dim in dims { writer.integer(1, dim) }
    writer.integer(2, type)
    body(&writer)
    writer.text(8, name)
    initializers.append(writer.bytes)
  }

  var bytes: [UInt8] {
    var model = MessageWriter()
    if let irVersion { model.integer(1, irVersion) }
    model.text(2, "test")
    model.text(3, "1.0")
    model.message(7) { graph in
      for node in nodes { graph.data(1, node) }
      graph.text(2, "graph")
      for initializer in initializers { graph.data(5, initializer) }
      for input in inputs { graph.data(11, input) }
      for output in outputs { graph.data(12, output) }
    }
    if !moreOfGraph.isEmpty { model.data(7, moreOfGraph) }
    for (domain, version) in opsets {
      model.message(8) {
        if !domain.isEmpty { $0.text(1, domain) }
        $0.integer(2, version)
      }
    }
    for (key, value) in metadata {
      model.message(14) {
        $0.text(1, key)
        $0.text(2, value)
      }
    }
    return model.bytes + moreOfModel
  }

  /// `y = x + w` for rows of two features.
  static var addition: ONNXWriter {
    var writer = ONNXWriter()
    writer.inputs = [value("x", type: 1, [nil, 2])]
    writer.outputs = [value("y", type: 1, [nil, 2])]
    writer.initializer("w", type: 1, dims: [2]) {
      $0.data(9, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])
    }
    writer.node("Add", name: "add", ["x", "w"], ["y"])
    return writer
  }

  /// A classifier of two trees behind an encoder of texts: every kind of attribute.
  static func forest(_ form: ListForm) -> ONNXWriter {
    var writer = ONNXWriter()
    writer.form = form
    writer.inputs = [value("x", type: 1, [nil, 2]), value("c", type: 8, [nil, 1])]
    writer.outputs = [value("label", type: 8, [nil]), value("probabilities", type: 1, [nil, 2])]
    writer.node(
      "LabelEncoder", domain: "ai.onnx.ml", ["c"], ["code"],
      [
        "keys_strings": .texts(["red", "green", ""]), "values_floats": .floats([1, 2, -1]), "default_float": .float(0),
      ])
    writer.node("Concat", ["x", "code"], ["features"], ["axis": .integer(1)])
    writer.node(
      "TreeEnsembleClassifier", domain: "ai.onnx.ml", name: "trees", ["features"], ["label", "probabilities"],
      [
        "nodes_treeids": .integers([0, 0, 0, 1, 1, 1]), "nodes_nodeids": .integers([0, 1, 2, 0, 1, 2]),
        "nodes_featureids": .integers([0, 0, 0, 2, 0, 0]),
        "nodes_modes": .texts(["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]),
        "nodes_values": .floats([0.5, 0, 0, 1.5, 0, 0]), "nodes_truenodeids": .integers([1, 0, 0, 1, 0, 0]),
        "nodes_falsenodeids": .integers([2, 0, 0, 2, 0, 0]), "class_treeids": .integers([0, 0, 1, 1]),
        "class_nodeids": .integers([1, 2, 1, 2]), "class_ids": .integers([0, 0, 0, 0]),
        "class_weights": .floats([-1, 1, 0.25, -0.5]), "classlabels_strings": .texts(["no", "yes"]),
        "post_transform": .text("LOGISTIC"),
      ])
    return writer
  }
}
