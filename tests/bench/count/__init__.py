"""Tests of counting: what is counted, under which conditions it is compared, and what a history permits to say."""
