SELECT "#user_id" FROM v_event_1 WHERE "$part_date" BETWEEN '2026-07-01' AND '2026-07-14' AND "$part_event" = 'pay' GROUP BY 1 HAVING sum(amount) >= 10
