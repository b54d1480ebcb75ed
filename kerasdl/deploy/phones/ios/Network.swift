import Foundation
import TensorFlowLite

/// The exported network: one example in, its answer out.
///
/// `[[ app.input.name ]]` has the shape [[ app.shape | list ]]. Everything behind [[ "the raw pixels, 0 to 255," if app.picture else "the numbers of the words" ]]
/// is inside the file: scale or normalise nothing. An actor, since it answers one question at a time.
actor Network {
  static let file = [[ stem | swift ]]
  static let endpoint = [[ app.endpoint.name | swift ]]

  /// Names of the classes in the order of the answer; empty where there are none.
  let labels: [String]
  private let runner: SignatureRunner

  init() throws {
    guard let path = Bundle.main.path(forResource: Self.file, ofType: "tflite") else {
      throw CocoaError(.fileNoSuchFile)
    }
    var options = Interpreter.Options()
    options.threadCount = 2
    runner = try Interpreter(modelPath: path, options: options).signatureRunner(with: Self.endpoint)
[% if app.bundle.labels %]
    labels = try lines(of: "labels")
[% else %]
    labels = []
[% endif %]
  }

[% set kind = "Float32" if app.picture else "Int32" %]
  /// Returns `[[ app.output.name ]]` of one example of [[ elements ]] values.
  func run(_ values: [[ "[" + kind + "]" ]]) throws -> [Float32] {
    precondition(values.count == [[ elements ]], "\(values.count) values instead of [[ elements ]]")
    try runner.invoke(with: [ [[- app.input.name | swift ]]: values.withUnsafeBufferPointer { Data(buffer: $0) }])
    let bytes = try runner.output(named: [[ app.output.name | swift ]]).data
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float32.self)) }
  }

  /// Returns the answer in words.
  func describe(_ found: [Float32]) -> [String] {
[% if app.output.name == "probabilities" %]
    let best = found.indices.sorted { found[$0] > found[$1] }.prefix(5)
    return best.map { String(format: "%5.1f %%  ", 100 * found[$0]) + ($0 < labels.count ? labels[$0] : "class \($0)") }
[% else %]
    return found.prefix(10).map { String(format: "%g", $0) }
[% endif %]
  }
}

/// Returns the lines of a text file of the app.
func lines(of name: String) throws -> [String] {
  guard let file = Bundle.main.url(forResource: name, withExtension: "txt") else {
    throw CocoaError(.fileNoSuchFile)
  }
  return try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n").dropLast()
}
