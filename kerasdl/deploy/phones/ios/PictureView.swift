import PhotosUI
import SwiftUI

/// Shows what the network answers to a picture from the library or the camera.
struct ContentView: View {
  @State private var network: Network?
  @State private var chosen: PhotosPickerItem?
  @State private var picture: UIImage?
  @State private var isCameraOpen = false
  @State private var answer: [String] = []
  @State private var note = ""

  var body: some View {
    VStack(spacing: 16) {
      HStack {
        PhotosPicker("Choose a picture", selection: $chosen, matching: .images)
        if UIImagePickerController.isSourceTypeAvailable(.camera) {
          Button("Camera") { isCameraOpen = true }
        }
      }
      .buttonStyle(.bordered)
      if let picture {
        Image(uiImage: picture).resizable().scaledToFit().frame(maxHeight: 320)
      }
      ForEach(answer, id: \.self) { Text($0).monospacedDigit() }
      Text(note).foregroundStyle(.secondary)
      Spacer()
    }
    .padding()
    .sheet(isPresented: $isCameraOpen) { Camera { show($0) } }
    .onChange(of: chosen) { item in
      Task {
        guard let bytes = try? await item?.loadTransferable(type: Data.self), let image = UIImage(data: bytes) else {
          note = "This is not a picture."
          return
        }
        show(image)
      }
    }
  }

  private func show(_ image: UIImage) {
    picture = image
    Task {
      do {
        let opened = try network ?? Network()
        network = opened
        guard let values = await Task.detached(operation: { Pictures.toInput(image) }).value else {
          note = "This picture cannot be read."
          return
        }
        let start = ContinuousClock.now
        let found = try await opened.run(values)
        note = "\(ContinuousClock.now - start)"
        answer = await opened.describe(found)
      } catch {
        note = "It did not work: \(error.localizedDescription)"
      }
    }
  }
}
