plugins {
    id("com.android.application") version "[[ versions.plugin ]]" apply false
    id("org.jetbrains.kotlin.android") version "[[ versions.kotlin ]]" apply false
}
