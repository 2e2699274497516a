"""When each frame of a video is shown, by the container's own time stamps; and whether the video is whole."""

from typing import Any

import cv2

MISSING = 0.05
"""Share of its length that a video may lack: containers estimate it."""

_CODECS = {"AV01": "AV1", "H264": "H.264", "AVC1": "H.264", "HEV1": "H.265", "HVC1": "H.265", "HEVC": "H.265",
           "VP80": "VP8", "VP90": "VP9", "VP09": "VP9", "VVC1": "H.266"}  # fmt: skip
"""Four letters in a container to what people call the codec."""


class VideoTimes:
    """Follows an open cv2.VideoCapture: `next` is asked once after each frame that was grabbed."""

    def __init__(self, video: Any) -> None:
        rate = video.get(cv2.CAP_PROP_FPS)
        self._video = video
        self._rate = rate if rate > 0 else 0.0
        self._promised = max(0.0, video.get(cv2.CAP_PROP_FRAME_COUNT))
        self._last_s: float | None = None
        self._stamped = False
        self.count = 0
        """Frames so far."""

    @property
    def frame_s(self) -> float:
        """How long a frame is shown at the video's nominal rate, in seconds; 0 where it names none."""
        return 1 / self._rate if self._rate else 0.0

    def next(self) -> float | None:
        """Return the time of the frame that was just grabbed, in seconds; None if nothing says it.

        A container without time stamps reports 0 for every frame: there the nominal rate counts.
        """
        stamp_s = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        self._stamped = self._stamped or stamp_s > 0
        counted_s = self.count / self._rate if self._rate else None
        self.count += 1
        self._last_s = stamp_s if self._stamped else counted_s
        return self._last_s

    def trouble(self) -> str | None:
        """Return what is wrong, for a message that begins with the file's name, once no further frame comes."""
        if self.count == 0:
            codec = self._codec()
            if codec is not None and self._promised:
                return f"has no decoder for {codec} here: convert it, as with `ffmpeg -i FILE -c:v libx264 NEW.mp4`"
            return f"broke off after 0 of {self._promised:.0f} frames; copy or record it again"
        if self.count >= (1 - MISSING) * self._promised - 1:
            return None
        # where frames come unevenly, their number is estimated from length and rate: the length decides
        if self._stamped and self._rate and self._last_s is not None:
            shown_s, length_s = self._last_s + self.frame_s, self._promised / self._rate
            if shown_s >= (1 - MISSING) * length_s - self.frame_s:
                return None
        return f"broke off after {self.count} of {self._promised:.0f} frames; copy or record it again"

    def _codec(self) -> str | None:
        """Return the codec's name; None if the container does not say."""
        letters = int(self._video.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("latin-1").upper()
        if not (letters.isascii() and letters.isalnum()):
            return None
        return _CODECS.get(letters, letters)
