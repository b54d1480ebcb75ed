plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "[[ package ]]"
    compileSdk = 36

    defaultConfig {
        applicationId = "[[ package ]]"
        minSdk = 29
        targetSdk = 36
        versionCode = [[ app.bundle.version ]]
        versionName = "[[ app.bundle.version ]]"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    // A file that the archive does not compress is mapped into memory instead of read.
    androidResources { noCompress += "tflite" }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation("com.google.ai.edge.litert:litert:[[ versions.litert ]]")
}
