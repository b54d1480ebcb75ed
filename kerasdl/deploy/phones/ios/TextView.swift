import SwiftUI

/// Shows what the network answers to a text.
struct ContentView: View {
  @State private var network: Network?
  @State private var words: Words?
  @State private var text = ""
  @State private var answer: [String] = []
  @State private var note = ""

  var body: some View {
    VStack(alignment: .leading, spacing: 16) {
      TextField("A text", text: $text, axis: .vertical).textFieldStyle(.roundedBorder)
      ForEach(answer, id: \.self) { Text($0).monospacedDigit() }
      Text(note).foregroundStyle(.secondary)
      Spacer()
    }
    .padding()
    .onChange(of: text) { given in show(given) }
  }

  private func show(_ given: String) {
    Task {
      do {
        let opened = try network ?? Network()
        let tokens = try words ?? Words(vocabulary: lines(of: "vocab"))
        (network, words) = (opened, tokens)
        let start = ContinuousClock.now
        let found = try await opened.run(tokens.toInput(given))
        note = "\(ContinuousClock.now - start)"
        answer = await opened.describe(found)
      } catch {
        note = "It did not work: \(error.localizedDescription)"
      }
    }
  }
}
