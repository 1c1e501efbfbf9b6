SELECT "#user_id", count(*) AS value FROM v_event_1 WHERE "$part_date" > '2000' AND "$part_event" = 'pay' GROUP BY 1
