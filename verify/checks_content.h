/*
 * The checks on what a PDF document holds besides its signature: images, active and hidden content.
 */
#ifndef VERIFY_CHECKS_CONTENT_H
#define VERIFY_CHECKS_CONTENT_H

#define CHECKS_CONTENT(X)                                                                          \
    X(IMAGE_FILTERS, "image-filters", "R-4.2.1a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,           \
      "Image data is compressed with FlateDecode or CCITTFaxDecode only and stands in the file.")  \
    X(INLINE_IMAGES, "inline-image-filters", "R-4.2.1a", BASIS_PROFILE, VERDICT_FORMAT_FAILURE,    \
      "Images inside content streams are compressed with FlateDecode or CCITTFaxDecode only.")     \
    X(IMAGE_UNFILTERED, "image-unfiltered", "R-4.2.1a", BASIS_POLICY, VERDICT_FORMAT_FAILURE,      \
      "No image is stored without compression.")                                                   \
    X(IMAGE_ORPHAN, "orphan-image-filters", "R-4.2.1a", BASIS_POLICY, VERDICT_FORMAT_FAILURE,      \
      "Images that nothing refers to follow the rule for images too.")                             \
    X(EXTERNAL_STREAM, "external-stream", "ISO 32000-1 7.3.8", BASIS_POLICY,                       \
      VERDICT_FORMAT_FAILURE, "No stream has its data in another file.")                           \
    X(OTHER_SIGNATURE, "other-signature", "ISO 32000-1 12.8.1", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE, "No other object looks like a signature.")                           \
    X(ACTIVE_JAVASCRIPT, "active-javascript", "ISO 32000-1 12.6.4.16", BASIS_POLICY,               \
      VERDICT_FORMAT_FAILURE, "The document contains no JavaScript.")                              \
    X(ACTIVE_ACTION, "active-action", "ISO 32000-1 12.6.4", BASIS_POLICY, VERDICT_FORMAT_FAILURE,  \
      "No action does more than go to another place in the document.")                             \
    X(ACTIVE_TRIGGER, "active-trigger", "ISO 32000-1 12.6.3", BASIS_POLICY,                        \
      VERDICT_FORMAT_FAILURE, "No action is triggered by events (/AA).")                           \
    X(ACTIVE_MEDIA, "active-media", "ISO 32000-1 13", BASIS_POLICY, VERDICT_FORMAT_FAILURE,        \
      "The document contains no sound, video, 3D or other multimedia.")                            \
    X(EMBEDDED_FILE, "embedded-file", "ISO 32000-1 7.11.4", BASIS_POLICY, VERDICT_FORMAT_FAILURE,  \
      "No other file is embedded in the document.")                                                \
    X(OPTIONAL_CONTENT, "optional-content", "ISO 32000-1 8.11", BASIS_POLICY,                      \
      VERDICT_FORMAT_FAILURE, "No part of a page can be switched on and off.")                     \
    X(COLLECTION, "collection", "ISO 32000-1 12.3.5", BASIS_POLICY, VERDICT_FORMAT_FAILURE,        \
      "The document is not a portfolio of files.")

#endif
