"""Images to a folder or an S3 store that many stations share. By policy, each once, within a budget a day.

    records.db ──cursor──► policy: all that is not PASS, a random share of PASS ──► one file an image ──► cursor

A name says what it is: STATION/DAY/SESSION/NUMBER-CAMERA.png. It is never written over.
"""
