import Foundation

/// From a text to the numbers of its words.
struct Words {
  private let numbers: [Data: Int32]

  /// - Parameter vocabulary: the lines of `vocab.txt`: padding, the unknown word, and a word a line.
  init(vocabulary: [String]) {
    var numbers: [Data: Int32] = [:]
    for (number, word) in vocabulary.enumerated() where number > 1 { numbers[Data(word.utf8)] = Int32(number) }
    self.numbers = numbers
  }

  /// Returns [[ app.shape[1] ]] numbers; 0 stands behind the last word.
  func toInput(_ text: String) -> [Int32] {
    var bytes = Array(text.utf8)
[% if "lower" in app.words.standardize %]
    bytes = bytes.map { (65...90).contains($0) ? $0 + 32 : $0 }
[% endif %]
[% if "strip_punctuation" in app.words.standardize %]
    bytes.removeAll { (33...47).contains($0) || (58...64).contains($0) || (91...96).contains($0) || (123...126).contains($0) }
[% endif %]
    let words = bytes.split { $0 == 32 || (9...13).contains($0) }.prefix([[ app.shape[1] ]])
    let found = words.map { numbers[Data($0)] ?? 1 }
    return found + [Int32](repeating: 0, count: [[ app.shape[1] ]] - found.count)
  }
}
